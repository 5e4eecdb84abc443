package iouring

import "github.com/sluice-net/sluice/uring"

// fatal passes on an error that the ring does not survive. That the time is up is
// none, nor that the kernel is too busy to take more before completions are
// reaped, which is what happens next.
func fatal(err error) error {
	switch err {
	case nil, uring.ErrTimeout, uring.ErrBusy:
		return nil
	}
	return err
}
