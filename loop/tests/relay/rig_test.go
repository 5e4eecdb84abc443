package relay_test

import (
	"context"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/exacttest"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// connects are the kinds of connections that can be relayed.
var connects = map[string]func(t *testing.T, l *loop.Loop, server, client protocol.Protocol){
	"tcp": rig.ConnectTCP, "unix": rig.ConnectUnix, "tls": rig.ConnectTLS,
}

// A chain is two connections, with a relay between their inner ends.
//
//	left ---- a  relay  b ---- right
type chain struct {
	t           *testing.T
	l           *loop.Loop
	left, right *transporttest.Recorder
	a, b        *transporttest.Recorder // what the relay takes over
	n           loop.Relayed
	err         error
	ended       bool
}

// connect makes the connections.
func connect(t *testing.T, l *loop.Loop, left, right string) *chain {
	t.Helper()
	c := &chain{t: t, l: l}
	c.left, c.a = transporttest.NewRecorder(t), transporttest.NewRecorder(t)
	c.b, c.right = transporttest.NewRecorder(t), transporttest.NewRecorder(t)
	for _, outer := range []*transporttest.Recorder{c.left, c.right} {
		outer.On.EOF = func() bool { return true }
	}
	connects[left](t, l, c.a, c.left)
	connects[right](t, l, c.right, c.b)
	rig.AbortAtEnd(t, l, c.left, c.a, c.b, c.right)
	return c
}

// relay begins to relay, on the loop's goroutine.
func (c *chain) relay(ctx context.Context, o loop.RelayOptions) {
	began := false
	defer func() { began = true }()
	c.l.RelayFunc(ctx, c.a.Transport(), c.b.Transport(), &o, func(n loop.Relayed, err error) {
		if c.ended {
			c.t.Error("done is called twice")
		}
		c.n, c.err, c.ended = n, err, true
		if began && c.a.Transport().Protocol() != nil && c.b.Transport().Protocol() != nil {
			c.t.Error("done is called before both transports are lost")
		}
	})
}

// chained makes a chain that is being relayed.
func chained(t *testing.T, l *loop.Loop, left, right string, o loop.RelayOptions) *chain {
	t.Helper()
	c := connect(t, l, left, right)
	looptest.Do(l, func() { c.relay(t.Context(), o) })
	return c
}

// waitEnded waits for the relay's end.
func (c *chain) waitEnded() {
	c.t.Helper()
	looptest.WaitFor(c.t, c.l, "the end of the relay", func() bool { return c.ended })
}

// endsWith waits for the relay's end and checks how it ended.
func (c *chain) endsWith(want error) {
	c.t.Helper()
	c.waitEnded()
	check(c.t, "the relay ended", c.err, want)
	if !c.a.Transport().IsClosing() || !c.b.Transport().IsClosing() {
		c.t.Error("a transport is still open")
	}
}

// hears waits until an outer end knows that the relay is over: by an error, or by an end
// where a connection cannot be reset.
func (c *chain) hears(r *transporttest.Recorder) {
	c.t.Helper()
	looptest.WaitFor(c.t, c.l, "the end", func() bool {
		return r.GotEOF() || r.Transport().Protocol() == nil
	})
}

// A sender writes a stream's content in pieces, as much as its transport takes, and then
// its end.
type sender struct {
	t      transport.Transport
	key    uint64
	sizes  func() int
	at     uint64
	size   uint64
	ends   bool // with WriteEOF
	paused bool
}

// send makes r send size bytes of the content called key.
func send(r *transporttest.Recorder, key uint64, size int, sizes func() int, ends bool) *sender {
	s := &sender{t: r.Transport(), key: key, sizes: sizes, size: uint64(size), ends: ends}
	r.On.Pause = func() { s.paused = true }
	r.On.Resume = func() {
		s.paused = false
		s.more()
	}
	s.more()
	return s
}

func (s *sender) more() {
	for !s.paused && s.at < s.size && !s.t.IsClosing() {
		n := min(uint64(s.sizes()), s.size-s.at)
		if _, err := s.t.Write(exacttest.Bytes(int(n), s.key, s.at)); err != nil {
			return
		}
		s.at += n
	}
	if s.at == s.size && s.ends {
		s.ends = false
		s.t.WriteEOF()
	}
}

// exactly checks that r has received size bytes of the content called key.
func exactly(t *testing.T, who string, r *transporttest.Recorder, key uint64, size int) {
	t.Helper()
	data := r.Data()
	if err := exacttest.Check(data, key, 0); err != nil || len(data) != size {
		t.Errorf("%s received %d bytes of %d: %v", who, len(data), size, err)
	}
}
