package server_test

import (
	"context"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// Who connects while accepting is paused waits in the kernel's queue, and is served
// afterwards; what was accepted before goes on.
func TestPauseAcceptingLeavesClientsInTheQueue(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		ctx := context.Background()
		var accepted []*transporttest.Recorder
		server, err := l.CreateServer(ctx, func() protocol.Protocol {
			r := transporttest.NewRecorder(t)
			accepted = append(accepted, r)
			return r
		}, "127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		connect := func() {
			t.Helper()
			client := transporttest.NewRecorder(t)
			if _, err := l.CreateConnection(ctx, client, server.Addrs()[0].String(),
				nil); err != nil {
				t.Fatal(err)
			}
			rig.AbortAtEnd(t, l, client)
		}
		count := func(n int) func() bool { return func() bool { return len(accepted) == n } }
		connect()
		looptest.WaitFor(t, l, "the first", count(1))
		server.PauseAccepting()
		server.PauseAccepting()
		looptest.Turns(l, 5) // a cancellation that the kernel has yet to see
		for range 3 {
			connect()
		}
		looptest.Turns(l, 20)
		looptest.Do(l, func() {
			if len(accepted) != 1 {
				t.Errorf("%d connections were accepted during a pause", len(accepted)-1)
			}
		})
		server.ResumeAccepting()
		looptest.WaitFor(t, l, "those that waited", count(4))
		server.PauseAccepting()
		server.ResumeAccepting()
		connect()
		looptest.WaitFor(t, l, "one more", count(5))
		looptest.Do(l, func() {
			for _, r := range accepted {
				r.Transport().Abort()
			}
		})
		looptest.WaitFor(t, l, "their end", func() bool {
			for _, r := range accepted {
				if transport.BaseTransport(r.Transport()).Protocol() != nil {
					return false
				}
			}
			return true
		})
	})
}

func TestASharedSocketResumesAcceptingAfterAPause(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		accepted := 0
		factory := func() protocol.Protocol {
			accepted++
			r := transporttest.NewRecorder(t)
			rig.AbortAtEnd(t, l, r)
			return r
		}
		server, err := l.CreateServer(t.Context(), factory, "127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		looptest.Do(l, func() { server.Sockets() }) // others may have them from now on
		server.PauseAccepting()
		looptest.Turns(l, 5) // until the engine has cancelled the accept
		client := transporttest.NewRecorder(t)
		if _, err := l.CreateConnection(t.Context(), client, server.Addrs()[0].String(),
			nil); err != nil {
			t.Fatal(err)
		}
		rig.AbortAtEnd(t, l, client)
		server.ResumeAccepting()
		looptest.WaitFor(t, l, "the one that waited", func() bool { return accepted == 1 })
	})
}

func TestNetworkChoosesTheFamily(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		ctx := context.Background()
		for network, count := range map[string]int{"": 2, "tcp": 2, "tcp4": 1, "tcp6": 1} {
			server, err := l.CreateServer(ctx, protocolOf(t), ":0",
				&loop.ServerOptions{Network: network})
			if err != nil {
				t.Fatal(err)
			}
			if n := len(server.Addrs()); n != count {
				t.Errorf("%q: %d addresses", network, n)
			}
			server.Close()
		}
	})
}

func protocolOf(t *testing.T) protocol.Factory {
	return func() protocol.Protocol { return transporttest.NewRecorder(t) }
}
