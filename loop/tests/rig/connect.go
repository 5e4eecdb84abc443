package rig

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// ConnectTCP connects a server's protocol and a client's.
func ConnectTCP(t *testing.T, l *loop.Loop, server, client protocol.Protocol) {
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
	case <-time.After(looptest.WaitTimeout):
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
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, 128<<10)
		}
	})
}

// Link lets the kit drive l.
func Link(t *testing.T, l *loop.Loop, peer protocol.Protocol) *transporttest.Link {
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

// ConnectPipe connects the protocols of both ends of a pipe.
func ConnectPipe(t *testing.T, l *loop.Loop, reader, writer protocol.Protocol) {
	t.Helper()
	r, w, err := looptest.Pipe(l)
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.ConnectReadPipe(t.Context(), reader, r)
	if _, panicked := err.(*protocol.PanicError); err != nil && !panicked {
		t.Fatal(err)
	}
	_, err = l.ConnectWritePipe(t.Context(), writer, w)
	if _, panicked := err.(*protocol.PanicError); err != nil && !panicked {
		t.Fatal(err)
	}
}

// ConnectTLS connects a server's protocol and a client's.
func ConnectTLS(t *testing.T, l *loop.Loop, server, client protocol.Protocol) {
	t.Helper()
	made := make(chan struct{})
	factory := func() protocol.Protocol {
		defer l.CallSoon(func() { close(made) }) // ConnectionMade follows at once
		return server
	}
	s, err := l.CreateServer(t.Context(), factory, "127.0.0.1:0",
		&loop.ServerOptions{TLS: &loop.TLSOptions{Config: ServerTLS()}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tr, err := l.CreateConnection(t.Context(), client, s.Addrs()[0].String(),
		&loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: ClientTLS()}})
	if err != nil {
		// A panic in ConnectionMade ends the connection; the case looks at that.
		if _, ok := err.(*protocol.PanicError); !ok {
			t.Fatal(err)
		}
	}
	select {
	case <-made:
	case <-time.After(looptest.WaitTimeout):
		t.Fatal("the server has accepted nothing")
	}
	narrowBoth(l, s, tr)
}

// UnixLink is link without Reset: a Unix socket's peer has no RST to send. It
// breaks a connection by closing with unread input, see loop/tests/unix.
func UnixLink(t *testing.T, l *loop.Loop, peer protocol.Protocol) *transporttest.Link {
	k := Link(t, l, peer)
	k.Reset = nil
	return k
}

// SocketPath is a free path for a socket, in a directory of the test's own. The
// names of t.TempDir are too long for sun_path.
func SocketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "unix")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "socket")
}

// ConnectUnix connects a server's protocol and a client's.
func ConnectUnix(t *testing.T, l *loop.Loop, server, client protocol.Protocol) {
	t.Helper()
	ConnectUnixAs(t, l, server, client, "unix")
}

// ConnectUnixAs does so over a network: "unix", or "unixpacket" for messages.
func ConnectUnixAs(t *testing.T, l *loop.Loop, server, client protocol.Protocol,
	network string) {
	t.Helper()
	made := make(chan struct{})
	factory := func() protocol.Protocol {
		defer l.CallSoon(func() { close(made) }) // ConnectionMade follows at once
		return server
	}
	path := SocketPath(t)
	s, err := l.CreateUnixServer(t.Context(), factory, path,
		UnixServer(loop.ServerOptions{Network: network}))
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
	case <-time.After(looptest.WaitTimeout):
		t.Fatal("the server has accepted nothing")
	}
}
