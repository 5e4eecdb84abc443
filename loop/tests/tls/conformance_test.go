package tls_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// TestTLSOfAServer runs the conformance kit on the transports that a server with
// TLS makes.
func TestTLSOfAServer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		transporttest.TestTransport(t, func(t *testing.T,
			p, peer protocol.Protocol) *transporttest.Link {
			rig.ConnectTLS(t, l, p, peer)
			k := rig.Link(t, l, peer)
			k.Limits = transport.Limits{High: 512 << 10, Low: 128 << 10}
			return k
		}, tlsExcept...)
	})
}

// TestTLSOfAClient runs it on those that CreateConnection makes.
func TestTLSOfAClient(t *testing.T) {
	rig.SecondEnd(t)
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		transporttest.TestTransport(t, func(t *testing.T,
			p, peer protocol.Protocol) *transporttest.Link {
			rig.ConnectTLS(t, l, peer, p)
			k := rig.Link(t, l, peer)
			k.Limits = transport.Limits{High: 512 << 10, Low: 128 << 10}
			return k
		}, tlsExcept...)
	})
}

// tlsExcept are the cases that ask for what TLS does not do.
var tlsExcept = []transporttest.Except{
	{Number: 84, Why: "a transport that does not look at its peer while it is paused"},
}
