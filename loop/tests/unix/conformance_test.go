package unix_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// The transports that a Unix server makes pass the conformance kit.
func TestS282_AUnixServersTransportsDoWhatTheKitAsks(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		transporttest.TestTransport(t, func(t *testing.T,
			p, peer protocol.Protocol) *transporttest.Link {
			rig.ConnectUnix(t, l, p, peer)
			return rig.UnixLink(t, l, peer)
		})
	})
}

// So do those that CreateUnixConnection makes.
func TestS282_AUnixClientsTransportDoesWhatTheKitAsks(t *testing.T) {
	rig.SecondEnd(t)
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		transporttest.TestTransport(t, func(t *testing.T,
			p, peer protocol.Protocol) *transporttest.Link {
			rig.ConnectUnix(t, l, peer, p)
			return rig.UnixLink(t, l, peer)
		})
	})
}
