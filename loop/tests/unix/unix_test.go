package unix_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// unixError checks that err is the *net.OpError of a Unix socket with errno.
func unixError(t *testing.T, err error, op string, errno syscall.Errno) {
	t.Helper()
	var e *net.OpError
	if !errors.Is(err, errno) || !errors.As(err, &e) || e.Op != op || e.Net != "unix" {
		t.Errorf("%v (%T), want %s unix: %v", err, err, op, errno)
	}
}

// dialError returns what CreateUnixConnection fails with.
func dialError(t *testing.T, l *loop.Loop, path string) error {
	t.Helper()
	r := transporttest.NewRecorder(t)
	tr, err := l.CreateUnixConnection(rig.WithTimeout(t), r, path, nil)
	if tr != nil {
		looptest.Do(l, tr.Abort)
		rig.WaitLost(t, l, r)
	}
	return err
}

// serveError returns what CreateUnixServer fails with.
func serveError(t *testing.T, l *loop.Loop, path string, opts *loop.UnixServerOptions) error {
	t.Helper()
	s, err := l.CreateUnixServer(rig.WithTimeout(t), (&rig.Accepting{T: t}).Factory(), path, opts)
	if s != nil {
		s.Close()
	}
	return err
}

func TestS277_PathsAndAbstractNames(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		abstract := rig.SocketPath(t)
		for path, name := range map[string]string{
			rig.SocketPath(t):     "",
			"@" + abstract:        "@" + abstract,
			"\x00" + abstract[1:]: "@" + abstract[1:],
		} {
			if name == "" {
				name = path
			}
			a := rig.ServeUnix(t, l, path, nil)
			want := &net.UnixAddr{Name: name, Net: "unix"}
			if got := a.Addrs()[0]; got.String() != want.String() || got.Network() != "unix" {
				t.Errorf("serves at %v, want %v", got, want)
			}
			if name[0] == '@' && (exists(abstract) || exists(name)) {
				t.Errorf("the abstract name %q has a file", path)
			}
			server, client := a.DialUnix()
			looptest.Do(l, func() { client.Transport().Write([]byte("hello")) })
			looptest.WaitFor(t, l, "data", func() bool { return string(server.Data()) == "hello" })
			a.Close()
		}
	})
}

func TestAnAbstractNameIsFreeAfterClose(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		name := "@" + rig.SocketPath(t)
		a := rig.ServeUnix(t, l, name, nil)
		unixError(t, serveError(t, l, name, nil), "listen", syscall.EADDRINUSE)
		a.Close()
		unixError(t, dialError(t, l, name), "dial", syscall.ECONNREFUSED)
		rig.ServeUnix(t, l, name, nil).DialUnix()
	})
}

func TestUnixPathsThatCannotBe(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for path, want := range map[string]syscall.Errno{
			"":                             syscall.EINVAL,
			"a\x00b":                       syscall.EINVAL,
			"/" + strings.Repeat("x", 107): syscall.ENAMETOOLONG,
			"@" + strings.Repeat("x", 108): syscall.ENAMETOOLONG,
		} {
			unixError(t, serveError(t, l, path, nil), "listen", want)
			unixError(t, dialError(t, l, path), "dial", want)
		}
	})
}

func TestTheLongestUnixNames(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		file, abstract := rig.SocketPath(t), "@"+rig.SocketPath(t)
		file += strings.Repeat("x", 107-len(file))
		abstract += strings.Repeat("x", 108-len(abstract))
		rig.ServeUnix(t, l, file, nil).DialUnix()
		rig.ServeUnix(t, l, abstract, nil).DialUnix()
	})
}

func TestUnixConnectionsToNobody(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		unixError(t, dialError(t, l, rig.SocketPath(t)), "dial", syscall.ENOENT)
		path := rig.SocketPath(t)
		a := rig.ServeUnix(t, l, path, rig.UnixServer(loop.ServerOptions{DeferServing: true}))
		unixError(t, dialError(t, l, path), "dial", syscall.ECONNREFUSED)
		if err := a.StartServing(); err != nil {
			t.Fatal(err)
		}
		a.DialUnix()
	})
}

func inetListener(t *testing.T) *os.File {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestUnixRefusesWhatIsForAddresses(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		err := serveError(t, l, "@x", rig.UnixServer(loop.ServerOptions{
			Addrs: []string{"127.0.0.1:0"}}))
		if err == nil || !strings.Contains(err.Error(), "Addrs") {
			t.Errorf("Addrs: %v", err)
		}
		_, err = l.CreateUnixConnection(rig.WithTimeout(t), transporttest.NewRecorder(t), "@x",
			&loop.ConnectionOptions{LocalAddr: "127.0.0.1:0"})
		if err == nil || !strings.Contains(err.Error(), "LocalAddr") {
			t.Errorf("LocalAddr: %v", err)
		}
		_, err = l.CreateUnixServer(rig.WithTimeout(t), nil, "@x", nil)
		if !errors.Is(err, transport.ErrNilProtocol) {
			t.Errorf("no factory: %v", err)
		}
		_, err = l.CreateUnixConnection(rig.WithTimeout(t), nil, "@x", nil)
		if !errors.Is(err, transport.ErrNilProtocol) {
			t.Errorf("no protocol: %v", err)
		}
		looptest.Do(l, func() {
			_, err = l.CreateUnixServer(t.Context(), (&rig.Accepting{T: t}).Factory(), "@x", nil)
			_, err2 := l.CreateUnixConnection(t.Context(), transporttest.NewRecorder(t), "@x", nil)
			if !errors.Is(err, loop.ErrOnLoop) || !errors.Is(err2, loop.ErrOnLoop) {
				t.Errorf("on the loop: %v, %v", err, err2)
			}
		})
	})
}

func TestS283_AnUnnamedEndHasAnEmptyName(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		path := rig.SocketPath(t)
		server, client := rig.ServeUnix(t, l, path, nil).DialUnix()
		names := func() {
			for what, got := range map[string]net.Addr{
				"":         transport.PeerName(server.Transport()),
				path:       transport.SockName(server.Transport()),
				" ":        transport.SockName(client.Transport()),
				path + " ": transport.PeerName(client.Transport()),
			} {
				a, ok := got.(*net.UnixAddr)
				if !ok || a.Name != strings.TrimSpace(what) || a.Net != "unix" {
					t.Errorf("%#v, want the name %q", got, what)
				}
			}
		}
		looptest.Do(l, names)
		looptest.Do(l, client.Transport().Abort)
		rig.WaitLost(t, l, server)
		rig.WaitLost(t, l, client)
		looptest.Do(l, names)
	})
}

func TestPeerCredOfAUnixConnection(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		want := transport.Credentials{PID: os.Getpid(), UID: uint32(os.Geteuid()),
			GID: uint32(os.Getegid())}
		if l.Engine().String() == "sim" {
			want = transport.Credentials{PID: 1}
		}
		server, client := rig.ServeUnix(t, l, rig.SocketPath(t), nil).DialUnix()
		both := []*transporttest.Recorder{server, client}
		for _, r := range both {
			r.On.Lost = func(error) {
				if _, ok := transport.PeerCred(r.Transport()); !ok {
					t.Error("no credentials in ConnectionLost")
				}
			}
		}
		looptest.Do(l, func() {
			for _, r := range both {
				if got, ok := transport.PeerCred(r.Transport()); got != want || !ok {
					t.Errorf("%+v, %v, want %+v", got, ok, want)
				}
			}
			client.Transport().Close()
		})
		for _, r := range both {
			rig.WaitLost(t, l, r)
			if _, ok := transport.PeerCred(r.Transport()); ok {
				t.Error("credentials after ConnectionLost")
			}
		}
	})
}

func TestATCPConnectionHasNoPeerCred(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, _ := rig.Pair(t, l)
		looptest.Do(l, func() {
			if c, ok := transport.PeerCred(server.Transport()); ok {
				t.Errorf("%+v", c)
			}
		})
	})
}
