package tlsio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/transport"
)

// negotiation is a handshake in progress: a coroutine that is resumed by the next
// bytes.
//
//	waiting --bytes | EOF--> running --memory is empty--> waiting
//	                         running --done | failed----> over
//	waiting --stop--> over
//
// running: crypto/tls computes and may call functions of the tls.Config, which may
// do anything, including aborting this connection; the coroutine is stopped only
// when it waits again.
type negotiation struct {
	next    func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
	running bool
	err     error
	timer   guard.Timer
}

// begin starts the handshake, with the bytes that were already received.
func (t *Transport) begin() {
	s := &negotiation{}
	t.negotiation = s
	s.next, s.stop = iter.Pull(func(yield func(struct{}) bool) {
		s.yield = yield
		s.err = t.conn.HandshakeContext(context.Background())
	})
	s.timer = t.host.After(t.config.HandshakeTimeout, func() {
		t.lose(fmt.Errorf("%w (%v)", transport.ErrHandshakeTimeout, t.config.HandshakeTimeout))
	})
	t.digestHeld()
}

// step continues the handshake until it needs more bytes or is over.
func (t *Transport) step() {
	s := t.negotiation
	s.running = true
	waits, err := t.resume(s)
	s.running = false
	switch {
	case t.state != handshaking: // ended from inside a function of the tls.Config
		s.stop()
		t.negotiation = nil
	case waits && err == nil:
	case err != nil:
		t.fail(t.named(err))
	default:
		s.timer.Cancel()
		t.negotiation = nil
		t.established()
	}
}

// named makes clear what happened if crypto/tls says only EOF.
func (t *Transport) named(err error) error {
	if t.bio.eofRead && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
		return fmt.Errorf("transport: the peer closed during the TLS handshake: %w (%w)",
			io.ErrUnexpectedEOF, syscall.ECONNRESET)
	}
	return err
}

// established passes the connection to the application. The caller afterwards
// delivers what the peer sent along with the end of its handshake.
func (t *Transport) established() {
	t.move(open)
	t.handshakeOK = true
	if t.guard.Protocol() == nil {
		p, err := t.config.Factory()
		if err != nil {
			t.fail(err)
			return
		}
		t.adopt(p)
	}
	if !t.config.Upgrade {
		t.made = true
		t.connectionMade()
	}
	if t.state == lost && t.err != nil {
		return // Done is called at the end
	}
	t.done(nil)
	t.drain()
	t.settle()
}

// Cancel ends a handshake in progress: Done is called with err. Once the handshake
// is over it does nothing.
func (t *Transport) Cancel(err error) {
	if t.state == handshaking {
		t.lose(err)
	}
}

// Abandon ends the transport, and one with TLS below it, without notifying anybody. It is
// for a loop that is closed and will not call the transport again. A handshake in progress
// is stopped: nobody would resume its coroutine.
func (t *Transport) Abandon() {
	if t.state == gone {
		return
	}
	t.move(gone)
	t.guard.Forget()
	if s := t.negotiation; s != nil {
		t.negotiation = nil
		s.stop()
	}
	if below, ok := t.raw.(*Transport); ok {
		below.Abandon()
	}
}

// inheritPause gives the application the paused state of the transport below, whose
// protocol it was until now.
func (t *Transport) inheritPause() {
	// Marks of 0 and one byte pause; the true size is counted at the next change.
	_, _ = t.flow.SetLimits(transport.Limits{})
	t.flow.Grew(1)
	_, _ = t.flow.SetLimits(DefaultLimits)
}
