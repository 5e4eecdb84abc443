package transporttest

import (
	"net"
	"syscall"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Options configure a Transport made by NewTransport.
type Options struct {
	// Info holds the values that ExtraInfo returns, by name.
	Info map[string]any

	// Full keeps written data in the write buffer until Drain, as if the peer did
	// not read. Otherwise all of it is sent at once.
	Full bool
}

// phase is the stage of a Transport's life.
type phase uint8

const (
	open phase = iota
	closing
	lost
	gone
)

// Transport is an in-memory transport.Transport without a loop, for testing a
// protocol on its own. It must be used by one goroutine. The test plays the peer
// with Receive, ReceiveEOF, Lose and Drain, and inspects Written; everything that a
// loop would call later happens in these and in Turn.
//
// A panic in the protocol is handled as a loop handles it, and kept for Panics.
type Transport struct {
	opts     Options
	phase    phase
	proto    transport.BaseProtocol
	flow     transport.FlowControl
	queue    []byte // written, not sent
	written  []byte // sent
	input    []byte // received while paused
	inputEOF bool
	gotEOF   bool
	paused   bool
	eof      bool // WriteEOF was called
	sentEOF  bool
	releases []func()
	err      error
	panics   []*protocol.PanicError
}

var (
	_ transport.Transport   = (*Transport)(nil)
	_ transport.OwnedWriter = (*Transport)(nil)
)

// NewTransport returns an in-memory transport for p, after calling p's
// ConnectionMade. A nil opts means the zero Options.
func NewTransport(p protocol.Protocol, opts *Options) *Transport {
	t := &Transport{proto: p}
	if opts != nil {
		t.opts = *opts
	}
	t.fatal("ConnectionMade", func() { p.ConnectionMade(t) })
	return t
}

// Receive simulates data from the peer. What the protocol does not take, because it
// has paused reading, waits for ResumeReading and the next Turn. Data is dropped on
// a transport that is closing or has received EOF.
func (t *Transport) Receive(data []byte) {
	if t.phase != open || t.inputEOF || t.gotEOF {
		return
	}
	t.input = append(t.input, data...)
	t.Turn()
}

// ReceiveEOF simulates the end of the peer's output.
func (t *Transport) ReceiveEOF() {
	t.inputEOF = true
	t.Turn()
}

// Lose simulates a broken connection: ConnectionLost(err) is called. A nil err
// means an *net.OpError with ECONNRESET.
func (t *Transport) Lose(err error) {
	if err == nil {
		err = &net.OpError{Op: "read", Net: "memory", Err: syscall.ECONNRESET}
	}
	t.lose(err)
	t.Turn()
}

// Drain simulates the kernel taking n bytes of the write buffer, or all of it if n
// is negative.
func (t *Transport) Drain(n int) {
	if n < 0 || n > len(t.queue) {
		n = len(t.queue)
	}
	t.take(n)
	t.Turn()
}

// Turn simulates one round of a loop: everything that was deferred happens now.
func (t *Transport) Turn() {
	t.release()
	t.deliver()
	if t.phase < lost {
		t.change(t.flow.Shrank(0)) // new limits may have made it due
	}
	switch {
	case t.phase == closing && len(t.queue) == 0:
		t.lose(nil)
	case t.phase == open && t.eof && len(t.queue) == 0:
		t.sentEOF = true
	}
	if t.phase == lost {
		t.phase = gone
		t.release()
		t.guard("ConnectionLost", func() { t.proto.ConnectionLost(t.err) })
		t.proto = nil
	}
}

// Written returns what has been sent so far, which is what the peer would have
// received. It is valid until the next call of a method.
func (t *Transport) Written() []byte { return t.written }

// TakeWritten returns what has been sent since it was last called.
func (t *Transport) TakeWritten() []byte {
	b := t.written
	t.written = nil
	return b
}

// WroteEOF reports whether the peer would have seen the end of the output: after
// WriteEOF or the loss of the connection, once everything written before has been
// sent.
func (t *Transport) WroteEOF() bool { return t.sentEOF || t.phase == gone }

// Panics returns the protocol's panics, in order.
func (t *Transport) Panics() []*protocol.PanicError { return t.panics }

// deliver passes input on for as long as the protocol accepts it.
func (t *Transport) deliver() {
	for t.IsReading() && len(t.input) > 0 {
		t.deliverOne()
	}
	if t.IsReading() && t.inputEOF {
		t.gotEOF = true
		keepOpen := false
		t.fatal("EOFReceived", func() {
			keepOpen = t.proto.(interface{ EOFReceived() bool }).EOFReceived()
		})
		if !keepOpen {
			t.Close()
		}
	}
}

func (t *Transport) deliverOne() {
	b, ok := protocol.AsBuffered(t.proto)
	if !ok {
		data := t.input
		t.input = nil
		t.fatal("DataReceived", func() { t.proto.(protocol.Protocol).DataReceived(data) })
		return
	}
	var buf []byte
	t.fatal("GetBuffer", func() { buf = b.GetBuffer(len(t.input)) })
	switch {
	case !t.IsReading():
	case len(buf) == 0:
		t.lose(protocol.ErrEmptyBuffer)
	default:
		n := copy(buf, t.input)
		t.input = t.input[n:]
		t.fatal("BufferUpdated", func() { b.BufferUpdated(n) })
	}
}

// lose drops the output; ConnectionLost follows in the next Turn.
func (t *Transport) lose(err error) {
	if t.phase >= lost {
		return
	}
	t.phase, t.err = lost, err
	t.queue, t.input = nil, nil
}
