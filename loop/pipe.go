package loop

import (
	"context"
	"net"
	"os"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// ConnectReadPipe makes a transport that receives from f: the reading end of a pipe or
// FIFO, a terminal or another character device, or a stream socket. It returns after
// ConnectionMade has returned; p may have received data by then.
//
// At the end of input the loop calls EOFReceived and then ConnectionLost(nil), whatever
// EOFReceived returned, because there is nothing to keep open: the transport is already
// closing inside EOFReceived. A terminal that has been hung up is at its end, too. The
// transport passed to ConnectionMade has the methods of a WriteTransport as well; they
// return transport.ErrReadOnly.
//
// The loop duplicates f and closes it, even on error, except for the standard streams
// (descriptors 0 to 2), which stay open. If f is in blocking mode and others may share
// it, as a program shares its standard input with the shell, they are not affected: the
// loop opens an unnamed pipe or a terminal a second time, and a socket works in either
// mode. Only a named FIFO, the master of a pseudoterminal and other devices become
// non-blocking for everybody who shares the open file. They become blocking again when
// the transport ends.
//
// ConnectReadPipe may be called from any goroutine except the loop's.
//
// Errors: *net.OpError with ErrNotPipe for a regular file, a directory or a block device,
// EBADF if f is closed or is a writing end; transport.ErrNilProtocol; ctx's error;
// ErrLoopClosed during Shutdown; ErrOnLoop; a panic in ConnectionMade or GetBuffer.
func (l *Loop) ConnectReadPipe(ctx context.Context, p protocol.Protocol, f *os.File) (
	transport.ReadTransport, error) {
	waits := context.WithoutCancel(ctx) // what becomes of f does not depend on ctx
	return block(waits, l, func(done func(transport.ReadTransport, error)) {
		l.ConnectReadPipeFunc(ctx, p, f, done)
	})
}

// ConnectReadPipeFunc is ConnectReadPipe for the loop's goroutine: done is called
// on it, once, before ConnectReadPipeFunc returns.
func (l *Loop) ConnectReadPipeFunc(ctx context.Context, p protocol.Protocol, f *os.File,
	done func(transport.ReadTransport, error)) {
	s, err := l.connectPipe(ctx, p, f, false)
	if err != nil {
		done(nil, err)
		return
	}
	done(s, nil)
}

// ConnectWritePipe makes a transport that sends to f: the writing end of a pipe or FIFO,
// a terminal or another character device, or a stream socket. It returns after
// ConnectionMade has returned.
//
// When the reader of a pipe or socket goes away, ConnectionLost is called even if nothing
// is being written: with EPIPE if output was pending, otherwise with nil. WriteEOF is the
// same as Close. The transport passed to ConnectionMade has the methods of a
// ReadTransport as well, but it never reads.
//
// What happens to f, and the errors, are the same as for ConnectReadPipe, except that
// EBADF is for a reading end.
//
// ConnectWritePipe may be called from any goroutine except the loop's.
func (l *Loop) ConnectWritePipe(ctx context.Context, p protocol.Protocol, f *os.File) (
	transport.WriteTransport, error) {
	waits := context.WithoutCancel(ctx) // what becomes of f does not depend on ctx
	return block(waits, l, func(done func(transport.WriteTransport, error)) {
		l.ConnectWritePipeFunc(ctx, p, f, done)
	})
}

// ConnectWritePipeFunc is ConnectWritePipe for the loop's goroutine: done is
// called on it, once, before ConnectWritePipeFunc returns.
func (l *Loop) ConnectWritePipeFunc(ctx context.Context, p protocol.Protocol, f *os.File,
	done func(transport.WriteTransport, error)) {
	s, err := l.connectPipe(ctx, p, f, true)
	if err != nil {
		done(nil, err)
		return
	}
	done(s, nil)
}

// connectPipe makes a one-way stream and calls ConnectionMade.
func (l *Loop) connectPipe(ctx context.Context, p protocol.Protocol, f *os.File, writes bool) (
	*fdio.Stream, error) {
	l.check()
	if f == nil {
		return nil, pipeError("", os.ErrInvalid)
	}
	a, err := l.engine.AdoptPipe(f, writes)
	switch {
	case err != nil:
		return nil, pipeError(f.Name(), err)
	case p == nil:
		l.dropPipe(a)
		return nil, transport.ErrNilProtocol
	case ctx.Err() != nil:
		l.dropPipe(a)
		return nil, ctx.Err()
	case l.draining:
		l.dropPipe(a)
		return nil, ErrLoopClosed
	}
	s := l.newPipe(fdio.Config{FD: a.FD, Protocol: p, Owner: (*host)(l),
		Pipe: &fdio.PipeConfig{Writes: writes, Device: a.Device, Restore: a.Restore,
			ModeSuccessor: l.successorOf}})
	if s.State() >= fdio.Lost && s.Err() != nil {
		return nil, s.Err()
	}
	return s, nil
}

// newPipe makes the stream for a descriptor and starts it.
func (l *Loop) newPipe(c fdio.Config) *fdio.Stream {
	made := l.originHere()
	if family, _, err := l.engine.Describe(c.FD); err == nil && family != proactor.Other {
		c.Local, c.Peer = l.namesOf(c.FD, family, proactor.Stream, nil)
	}
	s := fdio.NewStream((*host)(l), c)
	l.addStream(s)
	l.noteNew(s, made)
	s.Start()
	return s
}

// successorOf returns another pipe transport on the same open file as s, or nil: the
// master of a pseudoterminal usually has one for each direction.
func (l *Loop) successorOf(s *fdio.Stream) *fdio.Stream {
	for other := range l.streams() {
		if other != s && other.OneWay() && l.engine.SameFile(s.FD(), other.FD()) {
			return other
		}
	}
	return nil
}

// dropPipe closes a pipe that never became a transport.
func (l *Loop) dropPipe(p proactor.Pipe) {
	if p.Restore {
		_ = l.engine.SetBlocking(p.FD) // best effort: the descriptor is closed next
	}
	l.drop(p.FD)
}

// pipeError returns the error of ConnectReadPipe or ConnectWritePipe for a file of that
// name.
func pipeError(name string, err error) error {
	e := &net.OpError{Op: "file", Net: "pipe", Err: err}
	if name != "" {
		e.Addr = &net.UnixAddr{Name: name, Net: "pipe"}
	}
	return e
}
