package loop_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// TestTCPOfAServer runs the conformance kit on the transports that a server
// makes.
func TestTCPOfAServer(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		transporttest.TestTransport(t, func(t *testing.T,
			p, peer protocol.Protocol) *transporttest.Link {
			connectTCP(t, l, p, peer)
			return link(t, l, peer)
		})
	})
}

// TestTCPOfAClient runs it on those that CreateConnection makes.
func TestTCPOfAClient(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		transporttest.TestTransport(t, func(t *testing.T,
			p, peer protocol.Protocol) *transporttest.Link {
			connectTCP(t, l, peer, p)
			return link(t, l, peer)
		})
	})
}

// connectTCP connects a server's protocol and a client's.
func connectTCP(t *testing.T, l *loop.Loop, server, client protocol.Protocol) {
	t.Helper()
	made := make(chan struct{})
	factory := func() protocol.Protocol {
		defer l.CallSoon(func() { close(made) }) // ConnectionMade follows at once
		return server
	}
	s, err := l.CreateServer(t.Context(), factory, "127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tr, err := l.CreateConnection(t.Context(), client, s.Addrs()[0].String(), nil)
	if err != nil {
		// A panic in ConnectionMade ends the connection; the case looks at that.
		if _, ok := err.(*protocol.PanicError); !ok {
			t.Fatal(err)
		}
	}
	select {
	case <-made:
	case <-time.After(looptest.Patience):
		t.Fatal("the server has accepted nothing")
	}
	narrowBoth(l, s, tr)
}

// narrowBoth narrows a client's connection, if there is one, and its server's, where
// somebody runs l.
func narrowBoth(l *loop.Loop, s *loop.Server, client transport.Transport) {
	if !l.IsRunning() {
		return
	}
	looptest.Do(l, func() {
		if client != nil {
			narrow(client)
		}
		for tr := range s.Conns() {
			narrow(tr)
		}
	})
}

// narrow keeps the kernel from making the buffers of a connection larger: it goes on
// with that for a while after a peer has stopped to read, for longer the slower the
// machine is. There is nothing to do where there is no kernel, or no connection left.
func narrow(tr transport.BaseTransport) {
	socket, ok := transport.Socket(tr)
	if !ok {
		return
	}
	_ = socket.Control(func(fd uintptr) {
		for _, option := range []int{syscall.SO_SNDBUF, syscall.SO_RCVBUF} {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, 256<<10)
		}
	})
}

// link lets the kit drive l.
func link(t *testing.T, l *loop.Loop, peer protocol.Protocol) *transporttest.Link {
	start := len(looptest.Exceptions(l))
	return &transporttest.Link{
		Do: func(f func()) { looptest.Do(l, f) },
		Wait: func(what string, cond func() bool) {
			t.Helper()
			looptest.WaitFor(t, l, what, cond)
		},
		Pass:   func(d time.Duration) { looptest.Pass(t, l, d) },
		Expect: func(part string) { looptest.Expect(l, part) },
		Reports: func() []transporttest.Report {
			var reports []transporttest.Report
			for _, e := range looptest.Exceptions(l)[start:] {
				reports = append(reports, transporttest.Report{Message: e.Message, Err: e.Err,
					Transport: e.Transport, Protocol: e.Protocol})
			}
			return reports
		},
		Reset: resetter(l, peer.(*transporttest.Recorder)),
	}
}

// resetter breaks a TCP connection as a peer does that dies: with RST.
func resetter(l *loop.Loop, peer *transporttest.Recorder) func() {
	return func() {
		looptest.Do(l, func() { looptest.Reset(l, peer.Transport()) })
	}
}

// withTimeout is a context that ends long after every test should have.
func withTimeout(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), looptest.Patience)
	t.Cleanup(cancel)
	return ctx
}
