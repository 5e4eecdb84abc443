package unix_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/tlsio"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

func TestS276_SockAndPathExcludeEachOther(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		f, peer := rig.SocketPair(t, syscall.SOCK_STREAM)
		r := transporttest.NewRecorder(t)
		opts := &loop.ConnectionOptions{Sock: f}
		_, err := l.CreateUnixConnection(rig.WithTimeout(t), r, "@x", opts)
		serving := serveError(t, l, "@x", rig.UnixServer(loop.ServerOptions{Sock: f}))
		for _, err := range []error{err, serving} {
			if err == nil || !strings.Contains(err.Error(), "Sock excludes an address") {
				t.Errorf("Sock with a path: %v", err)
			}
		}
		if _, err := f.Stat(); err != nil {
			t.Errorf("the refused file: %v", err)
		}
		tr, err := l.CreateUnixConnection(rig.WithTimeout(t), r, "", opts)
		if err != nil {
			t.Fatal(err)
		}
		rig.AbortAtEnd(t, l, r)
		looptest.Do(l, func() { tr.Write([]byte("hello")) })
		b := make([]byte, 10)
		if n, err := peer.Read(b); string(b[:n]) != "hello" || err != nil {
			t.Errorf("the peer of Sock read %q, %v", b[:n], err)
		}
	})
}

func TestS276_TLSOverAUnixSocketNeedsAServersName(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		path := rig.SocketPath(t)
		rig.ServeUnix(t, l, path, nil)
		_, err := l.CreateUnixConnection(rig.WithTimeout(t), transporttest.NewRecorder(t), path,
			&loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: rig.ClientTLS()}})
		if !errors.Is(err, tlsio.ErrNoServerName) {
			t.Errorf("TLS without a name: %v", err)
		}
	})
}

func TestS276_WithAServersNameAUnixConnectionHasTLS(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		path := rig.SocketPath(t)
		a := rig.ServeUnix(t, l, path, rig.UnixServer(loop.ServerOptions{
			TLS: &loop.TLSOptions{Config: rig.ServerTLS()}}))
		for i, sock := range []bool{false, true} {
			at, opts := path, &loop.ConnectionOptions{TLS: &loop.TLSOptions{
				Config: rig.ClientTLS(), ServerName: "sluice.test"}}
			if sock {
				at, opts.Sock = "", connected(t, path)
			}
			r := transporttest.NewRecorder(t)
			rig.AbortAtEnd(t, l, r)
			tr, err := l.CreateUnixConnection(rig.WithTimeout(t), r, at, opts)
			if err != nil {
				t.Fatal(err)
			}
			looptest.Do(l, func() {
				s, ok := transport.TLSState(tr)
				if !ok || !s.HandshakeComplete || s.ServerName != "sluice.test" {
					t.Errorf("Sock %v: TLS %v, %+v", sock, ok, s)
				}
				tr.Write([]byte("hello"))
			})
			looptest.WaitFor(t, l, "the server's handshake", func() bool {
				return len(a.Got) == i+1 && a.Got[i].Transport() != nil
			})
			rig.WaitData(t, l, a.Got[i], []byte("hello"))
		}
	})
}

// connected returns a socket that is connected to path.
func connected(t *testing.T, path string) *os.File {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f, err := c.(*net.UnixConn).File()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestS281_ASockThatIsNotAUnixStreamIsRefused(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		socket := func(kind int) *os.File {
			f, _ := rig.SocketPair(t, kind)
			return f
		}
		for _, c := range []struct {
			what string
			sock func() *os.File
			want error
		}{
			{"datagram", func() *os.File { return socket(syscall.SOCK_DGRAM) }, loop.ErrNotStream},
			{"seqpacket", func() *os.File { return socket(syscall.SOCK_SEQPACKET) },
				loop.ErrNotStream},
			{"TCP", func() *os.File { return inetListener(t) }, transport.ErrNotUnix},
		} {
			client, server := c.sock(), c.sock()
			_, err := l.CreateUnixConnection(rig.WithTimeout(t), transporttest.NewRecorder(t), "",
				&loop.ConnectionOptions{Sock: client})
			if !errors.Is(err, c.want) {
				t.Errorf("a %s socket as a connection: %v, want %v", c.what, err, c.want)
			}
			err = serveError(t, l, "", rig.UnixServer(loop.ServerOptions{Sock: server}))
			if !errors.Is(err, c.want) {
				t.Errorf("a %s socket as a server: %v, want %v", c.what, err, c.want)
			}
			for _, f := range []*os.File{client, server} {
				if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
					t.Errorf("the file of a %s socket is open: %v", c.what, err)
				}
			}
		}
	})
}

// The socket of a connection has the name of its listener's file, which is another server's.
func TestASocketThatCannotListenLeavesTheFileOfItsName(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		path := rig.SocketPath(t)
		listener := rig.Listener(t, path)
		defer listener.Close()
		client, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		accepted, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer accepted.Close()
		f, err := accepted.(*net.UnixConn).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		factory := func() protocol.Protocol { return transporttest.NewRecorder(t) }
		if _, err := l.CreateUnixServer(t.Context(), factory, "",
			rig.UnixServer(loop.ServerOptions{Sock: f})); err == nil {
			t.Error("a connection listens")
		}
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("the file of the listener: %v", err)
		}
	})
}
