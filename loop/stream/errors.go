package stream

import (
	"errors"
	"net"
	"os"
	"syscall"

	"github.com/sluice-net/sluice/transport"
)

// The errors of this package. All others are those of package net, of the kernel and
// of package loop.
var (
	// ErrLimit: SetReadLimit with less than 1.
	ErrLimit = errors.New("stream: the read limit must be positive")

	// ErrUpgrading: StartTLS while another call of it goes on.
	ErrUpgrading = errors.New("stream: StartTLS goes on already")
)

// inner is what a *net.OpError of the loop's is about: the operation and addresses
// are those of the call that it is returned from.
func inner(err error) error {
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		return op.Err
	case errors.Is(err, transport.ErrClosed):
		return net.ErrClosed
	}
	return err
}

// errno is an error of the kind that the kernel returns.
func errno(call string, e syscall.Errno) error { return os.NewSyscallError(call, e) }

// opening is what Dial, Listen and ListenPacket return of what the loop met.
func opening(op, network string, err error) *net.OpError {
	e := &net.OpError{Op: op, Net: network, Err: err}
	var from *net.OpError
	if errors.As(err, &from) {
		e.Source, e.Addr, e.Err = from.Source, from.Addr, from.Err
	}
	return e
}
