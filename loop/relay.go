package loop

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/relay"
	"github.com/sluice-net/sluice/loop/internal/tlsio"
	"github.com/sluice-net/sluice/transport"
)

// RelayOptions configure a relay. The zero value is ready to use.
type RelayOptions struct {
	// Buffer is the most bytes that each direction holds; 0 means 512 KiB of what
	// the kernel moves, and the water marks of the transports where bytes are copied. A
	// copied receive that was under way when the limit was reached comes on top: at most
	// BufferOptions.Size, and what an engine delivers in one round.
	Buffer int

	// MaxBytes is the most bytes that each direction passes on; 0 means no limit. When
	// more arrive, the relay ends with ErrRelayLimit.
	MaxBytes int64

	// IdleTimeout ends the relay with transport.ErrIdleTimeout when no byte has moved in
	// either direction for that long; 0 means never. It is checked once per timeout, so
	// an idle relay ends after one to two of them.
	IdleTimeout time.Duration

	// Counts is where the relay counts the bytes that it passes on; nil means that they
	// are only reported at the end.
	Counts *RelayCounts
}

// Relayed says how many bytes a relay has passed on: taken by the kernel, or written to
// the other transport where bytes are copied.
type Relayed struct {
	AToB int64 // received from the first transport
	BToA int64 // received from the second transport
}

// RelayCounts counts the bytes of a relay while it runs. The zero value is ready to use,
// for one relay; if several have it, it counts the bytes of all.
type RelayCounts struct{ passed [2]atomic.Int64 }

// Now returns the bytes passed on so far. It may be called from any goroutine.
func (c *RelayCounts) Now() Relayed {
	return Relayed{AToB: c.passed[0].Load(), BToA: c.passed[1].Load()}
}

// Relay passes what a receives to b and what b receives to a, until both have ended. It
// takes over both transports: their protocols are replaced and get no callback any more,
// not even ConnectionLost. SetProtocol must not be called on them. Relay returns when both
// transports are gone, with the number of bytes that it passed on.
//
// What a protocol has not been given yet, because it paused reading or because the bytes
// are still in the kernel, is passed on as well; what was written to a transport before is
// sent first. Relay resumes reading. What is written to a transport meanwhile is sent, at
// no particular place between the bytes that are passed on.
//
// The end of one direction is passed on by WriteEOF, and the other direction goes on. When
// both have ended, both transports are closed, and Relay returns nil. TLS has no
// half-close, so there the end of one direction is the end of both. If one transport is
// lost with an error, the other one is reset, that is aborted such that a TCP peer gets
// ECONNRESET, and Relay returns that error; a reset never becomes an end of file. If
// somebody else closes or aborts one, the other one is closed after it has sent what was
// passed on, and Relay returns transport.ErrClosed. When ctx ends, both are reset, and
// Relay returns ctx's cause.
//
// A transport that takes less than the other one sends makes Relay stop receiving from
// that one: each direction holds no more than RelayOptions.Buffer. A WriteCap of the
// transports no longer applies; their IdleTimeout and CloseTimeout do.
//
// Between two TCP or Unix sockets without TLS, splice(2) moves the bytes from socket to
// socket through a pipe in the kernel, without copying them, if they come in large amounts.
// A relay has pipes only while bytes wait in them, and a loop has at most
// Options.RelayPipes of them. Everything else, and what comes when no pipe is left, is
// copied. Descriptors that come with the bytes of a Unix socket are closed.
//
// Relay may be called from any goroutine except the loop's. nil options mean the zero
// RelayOptions.
//
// Errors: ErrBadOption; ErrOtherLoop; ErrTLSBelow; ErrRelayed if one of the transports is
// already being relayed, or both are the same one; errors.ErrUnsupported for a pipe and for
// a socket of messages; transport.ErrClosed; transport.ErrEOFWritten. With any of these,
// the transports are as they were. Also ErrRelayLimit; transport.ErrIdleTimeout; the error
// that ended a connection; ctx's cause; ErrLoopClosed; ErrOnLoop.
func (l *Loop) Relay(ctx context.Context, a, b transport.Transport, opts *RelayOptions) (
	Relayed, error) {
	return block(ctx, l, func(done func(Relayed, error)) { l.RelayFunc(ctx, a, b, opts, done) })
}

// RelayFunc is Relay for the loop's goroutine: done is called on it, once, when both
// transports are gone. If relaying cannot begin, done is called before RelayFunc returns.
func (l *Loop) RelayFunc(ctx context.Context, a, b transport.Transport, opts *RelayOptions,
	done func(Relayed, error)) {
	l.check()
	o := RelayOptions{}
	if opts != nil {
		o = *opts
	}
	if o.Counts == nil {
		o.Counts = &RelayCounts{}
	}
	err := l.relays(a, b, &o)
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		done(Relayed{}, err)
		return
	}
	stop := func() {}
	r, err := relay.New((*host)(l), a, b, relay.Config{Most: o.Buffer, Limit: o.MaxBytes,
		LimitErr: ErrRelayLimit, IdleTimeout: o.IdleTimeout, Counts: &o.Counts.passed,
		Done: func(passed [2]int64, err error) {
			stop()
			done(Relayed{AToB: passed[0], BToA: passed[1]}, err)
		}})
	if err != nil {
		done(Relayed{}, err)
		return
	}
	stop = l.whenDone(ctx, func() { r.Stop(context.Cause(ctx)) })
	r.Start()
}

// relays returns an error if a and b cannot be relayed.
func (l *Loop) relays(a, b transport.Transport, o *RelayOptions) error {
	err := check("RelayOptions",
		bound{"Buffer", int64(o.Buffer), unbounded},
		bound{"MaxBytes", o.MaxBytes, unbounded},
		bound{"IdleTimeout", int64(o.IdleTimeout), unbounded})
	if err != nil {
		return err
	}
	for _, t := range [2]transport.Transport{a, b} {
		if err := l.canRelay(t); err != nil {
			return err
		}
	}
	if a == b {
		return ErrRelayed
	}
	return nil
}

// canRelay returns an error if t cannot be relayed.
func (l *Loop) canRelay(t transport.Transport) error {
	ours := true
	switch t := t.(type) {
	case nil:
		return transport.ErrClosed
	case *fdio.Stream:
		if ours = t.On((*host)(l)); ours && !t.Sendable() {
			return fmt.Errorf("loop: Relay of one direction: %w", errors.ErrUnsupported)
		}
	case *fdio.SeqPacket:
		return fmt.Errorf("loop: Relay of a socket of messages: %w", errors.ErrUnsupported)
	case *tlsio.Transport:
		ours = t.On((*host)(l))
	}
	if !ours {
		return ErrOtherLoop
	}
	if _, below := tlsio.Over(t.Protocol()); below {
		return ErrTLSBelow
	}
	if relay.Is(t.Protocol()) {
		return ErrRelayed
	}
	if t.IsClosing() {
		return transport.ErrClosed
	}
	_, err := t.Write(nil) // ErrEOFWritten
	if errors.Is(err, transport.ErrBufferFull) {
		return nil // there is no cap any more
	}
	return err
}
