package iouring

import "github.com/sluice-net/sluice/uring"

// fatal passes on an error that the ring does not survive. A timeout is not one,
// nor is a kernel too busy to take more before completions are reaped, which is
// what happens next.
func fatal(err error) error {
	switch err {
	case nil, uring.ErrTimeout, uring.ErrBusy:
		return nil
	}
	return err
}
