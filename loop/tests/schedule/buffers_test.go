package schedule_test

import (
	"maps"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
)

// There is one buffer for connections and one for datagram endpoints, and more to receive.
func TestTheTraceSaysWhichBuffersAreExhausted(t *testing.T) {
	told := map[uint16]bool{}
	o := loop.Options{Buffers: loop.BufferOptions{Size: 512, Min: 1, Max: 1},
		Trace: &loop.Trace{BuffersExhausted: func(group uint16) { told[group] = true }}}
	rig.OnKernelsWith(t, o, func(t *testing.T, l *loop.Loop) {
		if l.Engine() == loop.Epoll {
			t.Skip("needs an engine that hands out buffers before there is data")
		}
		server, client := rig.Pair(t, l)
		looptest.Do(l, func() { client.Transport().Write(make([]byte, 100<<10)) })
		looptest.WaitFor(t, l, "the data", func() bool { return server.Received() == 100<<10 })
		looptest.Do(l, func() {
			if want := map[uint16]bool{loop.StreamBuffers: true}; !maps.Equal(told, want) {
				t.Errorf("told %v, want %v", told, want)
			}
			clear(told)
		})

		first, _ := rig.DatagramPair(t, l)
		second, _ := rig.DatagramPair(t, l)
		looptest.WaitFor(t, l, "DatagramBuffers alone", func() bool {
			for range 20 {
				_ = first.T.SendTo([]byte("x"), transport.Addr{})
				_ = second.T.SendTo([]byte("x"), transport.Addr{})
			}
			return maps.Equal(told, map[uint16]bool{loop.DatagramBuffers: true})
		})
	})
}
