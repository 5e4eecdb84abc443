package tls_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// tellingConn tells of its first Write.
type tellingConn struct {
	net.Conn
	once  sync.Once
	wrote chan struct{}
}

func (c *tellingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.once.Do(func() { close(c.wrote) })
	return n, err
}

// The hello comes while the loop is in the callback that calls StartTLS. On io_uring the
// receive in flight has it by then, in the memory of the protocol that StartTLS replaces.
func TestS450_AHelloThatIsThereAlreadyIsTheHandshakes(t *testing.T) {
	for _, buffered := range []bool{false, true} {
		t.Run(fmt.Sprint("buffered ", buffered), func(t *testing.T) {
			rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
				f, peer := rig.SocketPair(t, syscall.SOCK_STREAM)
				server := transporttest.NewRecorder(t)
				p := protocol.Protocol(server)
				if buffered {
					p = server.Buffered(100)
				}
				_, err := l.CreateConnection(rig.WithTimeout(t), p, "",
					&loop.ConnectionOptions{Sock: f})
				if err != nil {
					t.Fatal(err)
				}
				rig.AbortAtEnd(t, l, server)
				looptest.Turns(l, 3) // the receive is in flight
				helloMeetsUpgrade(t, l, server, peer)
			})
		})
	}
}

// helloMeetsUpgrade lets the peer send its hello and the server call StartTLS in one
// callback, and sends something when the handshake is over.
func helloMeetsUpgrade(t *testing.T, l *loop.Loop, server *transporttest.Recorder,
	peer net.Conn) {
	t.Helper()
	if err := peer.SetDeadline(time.Now().Add(looptest.WaitTimeout)); err != nil {
		t.Fatal(err)
	}
	conn := &tellingConn{Conn: peer, wrote: make(chan struct{})}
	config := rig.ClientTLS()
	config.ServerName = "sluice.test"
	client := tls.Client(conn, config)
	handshake := make(chan error, 1)
	var next []*transporttest.Recorder
	var s *upgraded
	looptest.Do(l, func() {
		go func() { handshake <- client.Handshake() }()
		<-conn.wrote
		next = overTLS(t, server)
		s = upgrade(t, l, server, next[0], true, loop.TLSOptions{})
	})
	looptest.WaitFor(t, l, "the handshake", func() bool { return s.done })
	if err := <-handshake; s.err != nil || err != nil {
		t.Fatal(s.err, err)
	}
	if _, err := client.Write([]byte("encrypted")); err != nil {
		t.Error(err)
	}
	rig.WaitData(t, l, next[0], []byte("encrypted"))
	if n := server.Received(); n > 0 {
		t.Errorf("the protocol below received %d bytes", n)
	}
}
