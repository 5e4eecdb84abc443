package stream_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// TestTCPOfAServer runs the conformance kit on the transports that a server
// makes.
func TestTCPOfAServer(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		transporttest.TestTransport(t, func(t *testing.T,
			p, peer protocol.Protocol) *transporttest.Link {
			rig.ConnectTCP(t, l, p, peer)
			return rig.Link(t, l, peer)
		})
	})
}

// TestTCPOfAClient runs it on those that CreateConnection makes.
func TestTCPOfAClient(t *testing.T) {
	rig.SecondEnd(t)
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		transporttest.TestTransport(t, func(t *testing.T,
			p, peer protocol.Protocol) *transporttest.Link {
			rig.ConnectTCP(t, l, peer, p)
			return rig.Link(t, l, peer)
		})
	})
}
