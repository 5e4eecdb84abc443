package server_test

import (
	"context"
	"net"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

func TestS228_IsServingTellsWhetherTheServerAccepts(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", &loop.ServerOptions{DeferServing: true})
		for started := range 3 {
			if a.IsServing() != (started > 0) {
				t.Errorf("started %d times: serving %v", started, a.IsServing())
			}
			if err := a.StartServing(); err != nil {
				t.Error(err)
			}
		}
		a.Dial()
		a.Close()
		if a.IsServing() {
			t.Error("serving after Close")
		}
	})
}

func TestS236_IdleConnectionsAreLostWithinTwoRounds(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		for range 3 {
			a.Dial()
		}
		began, rounds := uint64(0), []uint64(nil)
		looptest.Do(l, func() {
			for _, r := range a.Got {
				r.On.Lost = func(error) { rounds = append(rounds, l.Stats().Turns-began) }
			}
			began = l.Stats().Turns
			a.Close()
			a.CloseClients()
		})
		if err := a.WaitClosed(rig.WithTimeout(t)); err != nil {
			t.Error(err)
		}
		if len(rounds) != 3 || slices.Max(rounds) > 2 {
			t.Errorf("lost after %d rounds", rounds)
		}
	})
}

func TestS237_SocketsListenAndAddrsStayKnown(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "127.0.0.1:0", &loop.ServerOptions{Addrs: []string{"127.0.0.2:0"}})
		addrs := slices.Clone(a.Addrs())
		looptest.Do(l, func() {
			fds := a.Sockets()
			if len(fds) != 2 || len(addrs) != 2 {
				t.Errorf("sockets %v, addresses %v", fds, addrs)
			}
			for i, fd := range fds {
				on, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
				if on != 1 || err != nil {
					t.Errorf("socket %d does not listen: %v", fd, err)
				}
				name, err := syscall.Getsockname(fd)
				in, ok := name.(*syscall.SockaddrInet4)
				if want := addrs[i].(*net.TCPAddr); err != nil || !ok || in.Port != want.Port ||
					!net.IP(in.Addr[:]).Equal(want.IP) {
					t.Errorf("socket %d is bound to %+v, not to %v: %v", fd, in, want, err)
				}
			}
			a.Close()
			if fds := a.Sockets(); len(fds) != 0 {
				t.Errorf("sockets %v after Close", fds)
			}
		})
		if got := a.Addrs(); !slices.Equal(got, addrs) {
			t.Errorf("addresses %v after Close, %v before", got, addrs)
		}
	})
}

func TestS238_ShutdownClosesAndWaits(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		server, client := a.Dial()
		looptest.Do(l, func() { server.Transport().Write([]byte("flushed")) })
		if a.Loop() != l {
			t.Error("another loop")
		}
		if err := a.Shutdown(rig.WithTimeout(t)); err != nil {
			t.Error(err)
		}
		if is, err := server.Lost(); !is || err != nil {
			t.Errorf("after Shutdown: lost %v, %v", is, err)
		}
		a.Refused()
		rig.WaitLost(t, l, client)
		if string(client.Data()) != "flushed" {
			t.Errorf("the client received %q", client.Data())
		}
	})
}

func TestS240_PortZeroIsOnePortOnAllAddresses(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "127.0.0.1:0", &loop.ServerOptions{
			Addrs: []string{"127.0.0.2:0", "127.0.0.3:0"}})
		ports := map[int]bool{}
		for _, addr := range a.Addrs() {
			ports[addr.(*net.TCPAddr).Port] = true
		}
		if len(a.Addrs()) != 3 || len(ports) != 1 || ports[0] {
			t.Errorf("listens on %v", a.Addrs())
		}
	})
}

// socketOption is that of a server's first socket.
func socketOption(t *testing.T, a *rig.Accepting, option int) (value int) {
	t.Helper()
	looptest.Do(a.L, func() {
		v, err := syscall.GetsockoptInt(a.Sockets()[0], syscall.SOL_SOCKET, option)
		if err != nil {
			t.Error(err)
		}
		value = v
	})
	return value
}

func TestS245_TheSocketsHaveTheOptionsThatWereAskedFor(t *testing.T) {
	const reusePort = 15 // SO_REUSEPORT
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		for _, c := range []struct {
			o                                loop.ServerOptions
			reuseAddr, reusePort, keptInLife int
		}{
			{loop.ServerOptions{}, 1, 0, 0},
			{loop.ServerOptions{NoReuseAddress: true}, 0, 0, 0},
			{loop.ServerOptions{ReusePort: true, KeepAlive: true}, 1, 1, 1},
		} {
			a := rig.Serve(t, l, "", &c.o)
			if got := socketOption(t, a, syscall.SO_REUSEADDR); got != c.reuseAddr {
				t.Errorf("%+v: SO_REUSEADDR %d", c.o, got)
			}
			if got := socketOption(t, a, reusePort); got != c.reusePort {
				t.Errorf("%+v: SO_REUSEPORT %d", c.o, got)
			}
			server, _ := a.Dial()
			looptest.Do(l, func() {
				got := sockopt(t, server, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE)
				if got != c.keptInLife {
					t.Errorf("%+v: SO_KEEPALIVE %d", c.o, got)
				}
			})
		}
	})
}

func TestS239_ASocketForIPv6TakesNoIPv4(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, ":0", nil)
		looptest.Do(l, func() {
			for i, addr := range a.Addrs() {
				if addr.(*net.TCPAddr).IP.To4() != nil {
					continue
				}
				v, err := syscall.GetsockoptInt(a.Sockets()[i], syscall.IPPROTO_IPV6,
					syscall.IPV6_V6ONLY)
				if v != 1 || err != nil {
					t.Errorf("%v: IPV6_V6ONLY %d, %v", addr, v, err)
				}
			}
		})
	})
}

func TestS250_ConnectionMadeKnowsThePeerAndTheServer(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		var s *loop.Server
		var made []transport.Transport
		calls := 0
		s, err := l.CreateServer(rig.WithTimeout(t), func() protocol.Protocol {
			calls++
			r := transporttest.NewRecorder(t)
			r.On.Made = func(tr transport.Transport) {
				made = append(made, tr)
				if transport.PeerName(tr) == nil {
					t.Error("no peername in ConnectionMade")
				}
				if !slices.Contains(slices.Collect(s.Conns()), tr) {
					t.Error("in ConnectionMade the transport is not one of the server's")
				}
			}
			return r
		}, "127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			r := transporttest.NewRecorder(t)
			_, err := l.CreateConnection(rig.WithTimeout(t), r, s.Addrs()[0].String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			rig.AbortAtEnd(t, l, r)
		}
		looptest.WaitFor(t, l, "both", func() bool { return len(made) == 2 })
		if calls != 2 || made[0] == made[1] {
			t.Errorf("%d protocols for %v", calls, made)
		}
		if err := s.Shutdown(rig.WithTimeout(t)); err != nil {
			t.Error(err)
		}
	})
}

func TestS254_ConnsAreTheOpenConnections(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a, other := rig.Serve(t, l, "", nil), rig.Serve(t, l, "", nil)
		first, client := a.Dial()
		second, _ := a.Dial()
		other.Dial()
		conns := func() (open []transport.Transport) {
			looptest.Do(l, func() { open = slices.Collect(a.Conns()) })
			return open
		}
		if got := conns(); len(got) != 2 || !slices.Contains(got, first.Transport()) ||
			!slices.Contains(got, second.Transport()) {
			t.Errorf("connections %v", got)
		}
		looptest.Do(l, client.Transport().Abort)
		rig.WaitLost(t, l, first)
		looptest.Turns(l, 1)
		if got := conns(); len(got) != 1 || got[0] != second.Transport() {
			t.Errorf("connections %v after one was lost", got)
		}
	})
}

// serveAndForget makes a server to which nobody has a reference any more.
func serveAndForget(t *testing.T, l *loop.Loop) (addr string, stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := l.CreateServer(ctx, rig.NewMirror, "127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	return s.Addrs()[0].String(), cancel
}

func TestS255_AServerThatNobodyRefersToGoesOnServing(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		addr, stop := serveAndForget(t, l)
		stop() // the context was that of the call alone
		for range 3 {
			runtime.GC()
			looptest.Turns(l, 2)
		}
		for range 2 {
			r := transporttest.NewRecorder(t)
			if _, err := l.CreateConnection(rig.WithTimeout(t), r, addr, nil); err != nil {
				t.Fatal(err)
			}
			looptest.Do(l, func() { r.Transport().Write([]byte("served")) })
			rig.WaitData(t, l, r, []byte("served"))
			looptest.Do(l, func() { r.Transport().Close() })
			rig.WaitLost(t, l, r)
		}
		looptest.WaitFor(t, l, "the server's ends", func() bool {
			return l.Stats().Transports == 0
		})
	})
}
