package stream_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

const writerTimeout = 50 * time.Millisecond

// writer writes a byte now and then, each of which the kernel takes at once.
type writer struct {
	protocol.Base
	loop *loop.Loop
	t    transport.Transport
	left int
	err  error
	done atomic.Bool
}

func (w *writer) ConnectionMade(t transport.Transport) {
	w.t = t
	if w.err = t.SetWriteBufferLimits(transport.Limits{}); w.err == nil {
		w.write()
	}
}

func (w *writer) DataReceived([]byte) {}

func (w *writer) write() {
	if w.left--; w.left == 0 {
		w.done.Store(true)
		return
	}
	if _, w.err = w.t.Write([]byte("x")); w.err != nil {
		w.done.Store(true)
		return
	}
	w.loop.CallLater(writerTimeout/10, w.write)
}

// A write that the kernel takes at once is no send operation, but it is traffic.
func TestIdleTimeoutSparesAConnectionThatOnlyWrites(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		w := &writer{loop: l, left: 40}
		s, err := l.CreateServer(t.Context(), func() protocol.Protocol { return w },
			"127.0.0.1:0", &loop.ServerOptions{IdleTimeout: writerTimeout})
		if err != nil {
			t.Fatal(err)
		}
		addr := s.Addrs()[0].String()
		if _, err := l.CreateConnection(t.Context(), &sink{}, addr, nil); err != nil {
			t.Fatal(err)
		}
		looptest.WaitFor(t, l, "the writes", w.done.Load)
		if w.err != nil {
			t.Errorf("with %d writes left: %v", w.left, w.err)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		looptest.WaitFor(t, l, "the end", func() bool { return l.Stats().Transports == 0 })
	})
}

// sink takes everything.
type sink struct{ protocol.Base }

func (*sink) DataReceived([]byte) {}
