package loop

import (
	"runtime/debug"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Trace is a set of hooks, all optional, that are called on the loop's goroutine as the
// events happen. They must not block. A panic in one goes to the exception handler and
// changes nothing else.
type Trace struct {
	// PauseWriting is called just before the protocol's PauseWriting, with the size of
	// the buffer.
	PauseWriting func(t transport.BaseTransport, size int, l transport.Limits)

	// ResumeWriting is called just before the protocol's ResumeWriting.
	ResumeWriting func(t transport.BaseTransport, size int, l transport.Limits)

	// BuffersExhausted is called when a receive found no buffer in one of the groups
	// that connections share: StreamBuffers or DatagramBuffers. More are then put into
	// circulation, up to BufferOptions.Max; if it is called again and again, raise Max.
	BuffersExhausted func(group uint16)

	// Fallback is called when something is not available and the loop goes on
	// without it: "io_uring" when Auto chose epoll, "registered buffers" when
	// RLIMIT_MEMLOCK is too small for them, "UDP_SEGMENT" and "UDP_GRO" when an
	// endpoint cannot have GSO or GRO.
	Fallback func(feature string, err error)

	// SlowCallback is called in debug mode after a callback has run for
	// Loop.SlowCallbackDuration or longer, not counting callbacks inside it. The log says
	// which callback it was, and what it was doing.
	SlowCallback func(d time.Duration)
}

// The groups of receive buffers that Trace.BuffersExhausted tells apart. BufferOptions
// applies to each of them.
const (
	StreamBuffers   uint16 = proactor.StreamBuffers   // of connections and pipes
	DatagramBuffers uint16 = proactor.DatagramBuffers // of datagram endpoints
)

// The hooks are called only from here.

// caughtInTrace reports the panic of a hook. Callers defer it.
func (l *Loop) caughtInTrace(hook string) {
	if r := recover(); r != nil {
		l.report(Exception{Message: "Exception in Trace." + hook, Err: &protocol.PanicError{
			Callback: "Trace." + hook, Value: r, Stack: debug.Stack()}})
	}
}

func (l *Loop) tracePause(t transport.BaseTransport, size int, limits transport.Limits) {
	if l.opts.Trace != nil && l.opts.Trace.PauseWriting != nil {
		defer l.caughtInTrace("PauseWriting")
		l.opts.Trace.PauseWriting(t, size, limits)
	}
}

func (l *Loop) traceResume(t transport.BaseTransport, size int, limits transport.Limits) {
	if l.opts.Trace != nil && l.opts.Trace.ResumeWriting != nil {
		defer l.caughtInTrace("ResumeWriting")
		l.opts.Trace.ResumeWriting(t, size, limits)
	}
}

func (l *Loop) traceFallback(feature string, err error) {
	if l.opts.Trace != nil && l.opts.Trace.Fallback != nil {
		defer l.caughtInTrace("Fallback")
		l.opts.Trace.Fallback(feature, err)
	}
}

func (l *Loop) traceSlow(took time.Duration) {
	if l.opts.Trace != nil && l.opts.Trace.SlowCallback != nil {
		defer l.caughtInTrace("SlowCallback")
		l.opts.Trace.SlowCallback(took)
	}
}

// traceEngine makes the engine call those of its hooks that are set.
func (l *Loop) traceEngine(cfg *proactor.Config) {
	t := l.opts.Trace
	if t == nil {
		return
	}
	if t.BuffersExhausted != nil {
		cfg.BuffersExhausted = func(group uint16) {
			defer l.caughtInTrace("BuffersExhausted")
			t.BuffersExhausted(group)
		}
	}
	if t.Fallback != nil {
		cfg.Fallback = l.traceFallback
	}
}
