package loop_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// TestUnixOfAServer runs the conformance kit on the transports that a Unix server
// makes.
//
// statements: 282
func TestUnixOfAServer(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		transporttest.TestTransport(t, func(t *testing.T,
			p, peer protocol.Protocol) *transporttest.Link {
			connectUnix(t, l, p, peer)
			return unixLink(t, l, peer)
		})
	})
}

// TestUnixOfAClient runs it on those that CreateUnixConnection makes.
func TestUnixOfAClient(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		transporttest.TestTransport(t, func(t *testing.T,
			p, peer protocol.Protocol) *transporttest.Link {
			connectUnix(t, l, peer, p)
			return unixLink(t, l, peer)
		})
	})
}

// unixLink is link without Reset: a Unix socket's peer has no RST to send. It
// breaks a connection by closing with unread input, see unix_stream_test.go.
func unixLink(t *testing.T, l *loop.Loop, peer protocol.Protocol) *transporttest.Link {
	k := link(t, l, peer)
	k.Reset = nil
	return k
}

// socketPath is a free path for a socket, in a directory of the test's own. The
// names of t.TempDir are too long for sun_path.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "unix")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "socket")
}

// connectUnix connects a server's protocol and a client's.
func connectUnix(t *testing.T, l *loop.Loop, server, client protocol.Protocol) {
	t.Helper()
	connectUnixAs(t, l, server, client, "unix")
}

// connectUnixAs does so over a network, "unix" or "unixpacket".
func connectUnixAs(t *testing.T, l *loop.Loop, server, client protocol.Protocol,
	network string) {
	t.Helper()
	made := make(chan struct{})
	factory := func() protocol.Protocol {
		defer l.CallSoon(func() { close(made) }) // ConnectionMade follows at once
		return server
	}
	path := socketPath(t)
	s, err := l.CreateUnixServer(t.Context(), factory, path,
		unixServer(loop.ServerOptions{Network: network}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = l.CreateUnixConnection(t.Context(), client, path,
		&loop.ConnectionOptions{Network: network})
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
}
