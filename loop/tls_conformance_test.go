package loop_test

import (
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// TestTLSOfAServer runs the conformance kit on the transports that a server with
// TLS makes.
func TestTLSOfAServer(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		transporttest.TestTransport(t, func(t *testing.T,
			p, peer protocol.Protocol) *transporttest.Link {
			connectTLS(t, l, p, peer)
			k := link(t, l, peer)
			k.Limits = transport.Limits{High: 512 << 10, Low: 128 << 10}
			return k
		}, tlsExcept...)
	})
}

// TestTLSOfAClient runs it on those that CreateConnection makes.
func TestTLSOfAClient(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		transporttest.TestTransport(t, func(t *testing.T,
			p, peer protocol.Protocol) *transporttest.Link {
			connectTLS(t, l, peer, p)
			k := link(t, l, peer)
			k.Limits = transport.Limits{High: 512 << 10, Low: 128 << 10}
			return k
		}, tlsExcept...)
	})
}

// tlsExcept are the cases that ask for what TLS does not do.
var tlsExcept = []transporttest.Except{
	{Number: 84, Why: "a transport that does not look at its peer while it is paused"},
}

// connectTLS connects a server's protocol and a client's.
func connectTLS(t *testing.T, l *loop.Loop, server, client protocol.Protocol) {
	t.Helper()
	made := make(chan struct{})
	factory := func() protocol.Protocol {
		defer l.CallSoon(func() { close(made) }) // ConnectionMade follows at once
		return server
	}
	s, err := l.CreateServer(t.Context(), factory, "127.0.0.1:0",
		&loop.ServerOptions{TLS: &loop.TLSOptions{Config: serverTLS()}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tr, err := l.CreateConnection(t.Context(), client, s.Addrs()[0].String(),
		&loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: clientTLS()}})
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
