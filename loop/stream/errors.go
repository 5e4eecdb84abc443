package stream

import (
	"errors"
	"net"
	"os"
	"syscall"

	"github.com/sluice-net/sluice/transport"
)

// The errors of this package. All others come from package net, the kernel and package
// loop.
var (
	// ErrLimit: SetReadLimit was called with less than 1.
	ErrLimit = errors.New("stream: the read limit must be positive")

	// ErrUpgrading: StartTLS was called while another call to it was in progress.
	ErrUpgrading = errors.New("stream: StartTLS is already in progress")
)

// inner returns the error inside a *net.OpError of the loop. The operation and addresses
// are then those of the call that returns it.
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

// errno returns an error like those that the kernel's errors become.
func errno(call string, e syscall.Errno) error { return os.NewSyscallError(call, e) }

// opening returns the error of Dial, Listen or ListenPacket for an error of the loop.
func opening(op, network string, err error) *net.OpError {
	e := &net.OpError{Op: op, Net: network, Err: err}
	var from *net.OpError
	if errors.As(err, &from) {
		e.Source, e.Addr, e.Err = from.Source, from.Addr, from.Err
	}
	return e
}
