package loop_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// TestSeqPacketOfAServer runs the conformance kit on the transports of messages that a
// Unix server makes.
func TestSeqPacketOfAServer(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		transporttest.TestTransport(t, func(t *testing.T,
			p, peer protocol.Protocol) *transporttest.Link {
			connectUnixAs(t, l, p, peer, "unixpacket")
			return packetLink(t, l, peer)
		})
	})
}

// TestSeqPacketOfAClient runs it on those that CreateUnixConnection makes.
func TestSeqPacketOfAClient(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		transporttest.TestTransport(t, func(t *testing.T,
			p, peer protocol.Protocol) *transporttest.Link {
			connectUnixAs(t, l, peer, p, "unixpacket")
			return packetLink(t, l, peer)
		})
	})
}

// packetLink is unixLink for messages, which must fit into a receive buffer and, two at
// least, into the socket's send buffer.
func packetLink(t *testing.T, l *loop.Loop, peer protocol.Protocol) *transporttest.Link {
	k := unixLink(t, l, peer)
	k.MessageMax = 32 << 10
	return k
}
