package loop_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// statements: 167
func TestS166_OptionsThatNameNothingOrDoNotGoTogetherAreRefused(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for name, o := range map[string]*loop.DatagramOptions{
			"nil":        nil,
			"nothing":    {},
			"port alone": {ReusePort: true},
			"both kinds": {LocalAddr: "127.0.0.1:0", RemotePath: "@x"},
			"network":    {Network: "tcp"},
			"no family":  {LocalAddr: "127.0.0.1:0", RemoteAddr: "[::1]:1"},
			"wrong one":  {LocalAddr: "127.0.0.1:0", Network: "udp6"},
			"no port":    {LocalAddr: "127.0.0.1"},
			"path":       {LocalPath: string(make([]byte, 200))},
			"interface":  {LocalAddr: "127.0.0.1:0", Interface: "no-such-interface"},
			"no unicast": {LocalAddr: "127.0.0.1:0",
				JoinGroups: []netip.Addr{netip.IPv6Loopback()}},
			"not of here": {LocalAddr: "192.0.2.1:0"},
		} {
			if tr, err := l.CreateDatagramEndpoint(withTimeout(t), &postman{}, o); err == nil {
				t.Errorf("%s: made %v", name, tr)
			} else if name == "no family" && !errors.Is(err, loop.ErrNoAddress) {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := l.CreateDatagramEndpoint(withTimeout(t), nil, &anyPort)
		if !errors.Is(err, transport.ErrNilProtocol) {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := l.CreateDatagramEndpoint(ctx, &postman{}, &anyPort); err != context.Canceled {
			t.Error(err)
		}
		looptest.Do(l, func() {
			_, err := l.CreateDatagramEndpoint(context.Background(), &postman{}, &anyPort)
			if !errors.Is(err, loop.ErrOnLoop) {
				t.Error(err)
			}
		})
		for _, network := range []string{"udp", "udp4", "udp6"} {
			p := office(t, l, &postman{}, loop.DatagramOptions{Network: network})
			if transport.PeerName(p.t) != nil {
				t.Error("a peer out of nothing")
			}
		}
	})
}

// statements: 26
func TestS167_AServiceHasThePortThatItHasWithUdp(t *testing.T) {
	port, err := net.LookupPort("udp", "tftp") // which is none of tcp's
	if err != nil {
		t.Skip("needs the service tftp in /etc/services")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		p := office(t, l, &postman{}, loop.DatagramOptions{RemoteAddr: "127.0.0.1:tftp"})
		if a, ok := transport.PeerName(p.t).(*net.UDPAddr); !ok || a.Port != port {
			t.Errorf("peername %v, want port %d", transport.PeerName(p.t), port)
		}
	})
}

func TestS168_AnAddressInUseIsToldAndLaterPairsAreTried(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		first := office(t, l, &postman{}, anyPort)
		addr := here(first).String()
		_, err := l.CreateDatagramEndpoint(withTimeout(t), &postman{},
			&loop.DatagramOptions{LocalAddr: addr})
		op, ok := errors.AsType[*net.OpError](err)
		if !ok || !errors.Is(err, syscall.EADDRINUSE) || op.Addr.String() != addr {
			t.Errorf("%T %v", err, err)
		}
		// The wildcard of IPv4 goes with a remote address of IPv4 only.
		p := office(t, l, &postman{}, loop.DatagramOptions{LocalAddr: ":0", RemoteAddr: addr})
		if got := transport.PeerName(p.t); got == nil || got.String() != addr {
			t.Errorf("peername %v, want %s", got, addr)
		}
		if transport.PeerName(first.t) != nil || first.t.ExtraInfo("no such name") != nil {
			t.Error("extra info of nothing")
		}
		looptest.Do(l, func() { p.t.Close() })
		looptest.WaitFor(t, l, "the end", func() bool { return p.t.Protocol() == nil })
		if got := transport.PeerName(p.t); got == nil || transport.SockName(p.t) == nil {
			t.Error("names do not outlive the endpoint")
		}
		if _, ok := transport.Socket(p.t); ok {
			t.Error("the socket does")
		}
	})
}

// That of a process that has just ended is held by its operations for a moment.
func TestS168_APortInUseIsTriedAgainForAWhile(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		first := office(t, l, &postman{}, anyPort)
		looptest.Do(l, func() { l.CallLater(30*time.Millisecond, first.t.Abort) })
		second := office(t, l, &postman{}, loop.DatagramOptions{LocalAddr: here(first).String()})
		sendAll(t, l, second, here(second), "to myself")
		wantTexts(t, l, second, "to myself")
	})
}

func TestS169_BroadcastSetsADestinationAndNoPeer(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := office(t, l, &postman{}, anyPort)
		o := loop.DatagramOptions{LocalAddr: "127.0.0.1:0", RemoteAddr: here(server).String()}
		client := &postman{}
		o.Broadcast = true
		office(t, l, client, o)
		if transport.PeerName(client.t) != nil {
			t.Error("connected")
		}
		sendAll(t, l, client, nobody, "to the default destination")
		wantTexts(t, l, server, "to the default destination")
		other := office(t, l, &postman{}, anyPort)
		sendAll(t, l, other, here(client), "from somebody else")
		wantTexts(t, l, client, "from somebody else")

		to := transport.Addr{AddrPort: netip.MustParseAddrPort("255.255.255.255:9")}
		sendAll(t, l, other, to, "not allowed")
		looptest.WaitFor(t, l, "an error", func() bool { return len(other.errs) == 1 })
		looptest.Do(l, func() {
			if err := other.errs[0]; !errors.Is(err, syscall.EACCES) {
				t.Error(err)
			}
		})
	})
}

func TestS170_SockIsTakenOverAndGoesAlone(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		f, peer := socketPair(t, syscall.SOCK_DGRAM)
		p := office(t, l, &postman{}, loop.DatagramOptions{Sock: f})
		if f.Fd() != ^uintptr(0) {
			t.Error("the file is still open")
		}
		if _, err := peer.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		wantTexts(t, l, p, "hello")
		sendAll(t, l, p, nobody, "and back")
		buf := make([]byte, 100)
		if n, err := peer.Read(buf); string(buf[:n]) != "and back" {
			t.Errorf("%q, %v", buf[:n], err)
		}
		stream, _ := socketPair(t, syscall.SOCK_STREAM)
		_, err := l.CreateDatagramEndpoint(withTimeout(t), &postman{},
			&loop.DatagramOptions{Sock: stream})
		if !errors.Is(err, loop.ErrNotDatagram) {
			t.Error(err)
		}
	})
}

func TestS170_SockGoesWithoutWhatIsForANewSocket(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		sock, _ := socketPair(t, syscall.SOCK_DGRAM)
		defer sock.Close()
		for want, o := range map[string]loop.DatagramOptions{
			"LocalAddr, ReusePort": {LocalAddr: "x:1", ReusePort: true},
			"RemoteAddr":           {RemoteAddr: "x:1"},
			"LocalPath":            {LocalPath: "x"},
			"RemotePath":           {RemotePath: "x"},
			"Network":              {Network: "udp"},
			"Broadcast":            {Broadcast: true},
			"JoinGroups":           {JoinGroups: []netip.Addr{netip.IPv6LinkLocalAllNodes()}},
			"Interface":            {Interface: "lo"},
			"MulticastTTL":         {MulticastTTL: 1},
			"NoMulticastLoop":      {NoMulticastLoop: true},
			"SendBuffer":           {SendBuffer: 1},
			"ReceiveBuffer":        {ReceiveBuffer: 1},
		} {
			o.Sock = sock
			_, err := l.CreateDatagramEndpoint(withTimeout(t), &postman{}, &o)
			if err == nil || err.Error() != "loop: DatagramOptions.Sock goes without "+want {
				t.Errorf("%s: %v", want, err)
			}
		}
	})
}

func TestS171_OptionsReachTheSocket(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		p := office(t, l, &postman{}, loop.DatagramOptions{LocalAddr: "127.0.0.1:0",
			ReusePort: true, Broadcast: true, ReceiveBuffer: 100_000, SendBuffer: 50_000,
			MulticastTTL: 7, NoMulticastLoop: true})
		office(t, l, &postman{},
			loop.DatagramOptions{LocalAddr: here(p).String(), ReusePort: true})
		s, ok := transport.Socket(p.t)
		if !ok {
			t.Fatal("no socket")
		}
		_ = s.Control(func(fd uintptr) {
			for _, want := range [][3]int{
				{syscall.SOL_SOCKET, syscall.SO_BROADCAST, 1},
				{syscall.SOL_SOCKET, syscall.SO_RCVBUF, 200_000},
				{syscall.SOL_SOCKET, syscall.SO_SNDBUF, 100_000},
				{syscall.IPPROTO_IP, syscall.IP_MULTICAST_TTL, 7},
				{syscall.IPPROTO_IP, syscall.IP_MULTICAST_LOOP, 0},
			} {
				got, err := syscall.GetsockoptInt(int(fd), want[0], want[1])
				if got != want[2] || err != nil {
					t.Errorf("option %d of level %d is %d, want %d: %v",
						want[1], want[0], got, want[2], err)
				}
			}
		})
	})
}

// statements: 158
func TestS172_UnixDatagramsWaitForRoomAndStayInOrder(t *testing.T) {
	for _, name := range []string{"connected", "not connected"} {
		t.Run(name, func(t *testing.T) {
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
				path := filepath.Join(t.TempDir(), "s")
				server := office(t, l, &postman{}, loop.DatagramOptions{LocalPath: path})
				looptest.Do(l, server.t.PauseReading)
				client, to := &postman{}, here(server)
				o := loop.DatagramOptions{LocalPath: path + "c"}
				if name == "connected" {
					o.RemotePath, to = path, nobody
				}
				office(t, l, client, o)
				all := append(numbered(200, 1000), "")
				sendAll(t, l, client, to, all...)
				looptest.Pass(t, l, 30*time.Millisecond)
				looptest.Do(l, func() {
					if client.count("pause") != 1 || client.t.WriteBufferSize() < 100_000 {
						t.Errorf("%v with %d bytes", client.events, client.t.WriteBufferSize())
					}
					client.t.Close()
					server.t.ResumeReading()
				})
				wantTexts(t, l, server, all...)
				looptest.WaitFor(t, l, "the end", func() bool { return client.count("lost") == 1 })
				looptest.Do(l, func() {
					if client.lostErr != nil || client.count("resume") != 1 ||
						len(client.errs) > 0 {
						t.Error(client.lostErr, client.events, client.errs)
					}
					if from := server.got[0].from; from.Path != path+"c" {
						t.Errorf("from %v", from)
					}
				})
			})
		})
	}
}

func TestS172_AStaleSocketFileIsRemovedAndNoOther(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		path := filepath.Join(t.TempDir(), "s")
		old, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		o := &loop.DatagramOptions{LocalPath: path}
		if _, err := l.CreateDatagramEndpoint(withTimeout(t), &postman{}, o); !errors.Is(err,
			syscall.EADDRINUSE) {
			t.Error("took the path of a live socket:", err)
		}
		old.Close()
		if err := bindAndLeave(path + "2"); err != nil {
			t.Fatal(err)
		}
		office(t, l, &postman{}, loop.DatagramOptions{LocalPath: path + "2"})
		if err := os.WriteFile(path+"3", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		o.LocalPath = path + "3"
		if _, err := l.CreateDatagramEndpoint(withTimeout(t), &postman{}, o); !errors.Is(err,
			syscall.EADDRINUSE) {
			t.Error("took the path of a file:", err)
		}
		o = &loop.DatagramOptions{RemotePath: path + "4"}
		if _, err := l.CreateDatagramEndpoint(withTimeout(t), &postman{}, o); !errors.Is(err,
			syscall.ENOENT) {
			t.Error(err)
		}
	})
}

// bindAndLeave leaves the file of a socket that is gone.
func bindAndLeave(path string) error {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	return syscall.Bind(fd, &syscall.SockaddrUnix{Name: path})
}

func TestS174_DatagramsOfARoundAreSentTogether(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		client, server := correspondents(t, l)
		var before, after loop.Stats
		looptest.Do(l, server.t.PauseReading)
		looptest.Turns(l, 2)
		looptest.Do(l, func() { before = l.Stats() })
		all := numbered(128, 64)
		sendAll(t, l, client, nobody, all...)
		looptest.Do(l, func() { after = l.Stats() })
		if n := after.Syscalls - before.Syscalls; n > 20 {
			t.Errorf("%d system calls for 128 datagrams", n)
		}
		looptest.Do(l, server.t.ResumeReading)
		wantTexts(t, l, server, all...)
	})
}

func TestS021_SetProtocolChangesWhoReceives(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := correspondents(t, l)
		next := &postman{t: server.t}
		looptest.Do(l, func() {
			if err := server.t.SetProtocol(nil); !errors.Is(err, transport.ErrNilProtocol) {
				t.Error(err)
			}
			err := server.t.SetProtocol(transporttest.NewRecorder(t))
			if !errors.Is(err, transport.ErrProtocolKind) || server.t.Protocol() != server {
				t.Error(err, server.t.Protocol())
			}
			if err := server.t.SetProtocol(next); err != nil || server.t.Protocol() != next {
				t.Error(err, server.t.Protocol())
			}
		})
		sendAll(t, l, client, nobody, "for the next one")
		wantTexts(t, l, next, "for the next one")
		looptest.Do(l, func() {
			if len(server.got) > 0 || next.count("made") > 0 {
				t.Error(server.events, next.events)
			}
		})
	})
}

func TestMulticastReachesAllMembers(t *testing.T) {
	group := netip.MustParseAddr("239.255.77.77")
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		o := loop.DatagramOptions{LocalAddr: "0.0.0.0:0", JoinGroups: []netip.Addr{group},
			Interface: "lo", ReusePort: true}
		a := office(t, l, &postman{}, o)
		o.LocalAddr = here(a).String()
		b := office(t, l, &postman{}, o)
		sender := office(t, l, &postman{},
			loop.DatagramOptions{LocalAddr: "127.0.0.1:0", Interface: "lo"})
		to := transport.Addr{AddrPort: netip.AddrPortFrom(group, here(a).Port())}
		sendAll(t, l, sender, to, "to all", "members")
		wantTexts(t, l, a, "to all", "members")
		wantTexts(t, l, b, "to all", "members")
	})
}

func TestShutdownAndDescriptorsCoverDatagramEndpoints(t *testing.T) {
	for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
		t.Run(engine.String(), func(t *testing.T) {
			l, err := loop.New(&loop.Options{Engine: engine})
			if err != nil {
				t.Skipf("needs %v: %v", engine, err)
			}
			peer, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			p := &postman{}
			o := &loop.DatagramOptions{RemoteAddr: peer.LocalAddr().String()}
			if _, err := l.CreateDatagramEndpoint(t.Context(), p, o); err != nil {
				t.Fatal(err)
			}
			if n := l.Stats().Transports; n != 1 {
				t.Errorf("%d transports", n)
			}
			s, _ := transport.Socket(p.t)
			_ = s.Control(func(fd uintptr) {
				if err := l.AddReader(int(fd), func() {}); !errors.Is(err, loop.ErrFdInUse) {
					t.Error(err)
				}
			})
			if err := p.t.SendTo([]byte("last words"), nobody); err != nil {
				t.Error(err)
			}
			if err := l.Shutdown(withTimeout(t)); err != nil {
				t.Error(err)
			}
			if p.count("lost") != 1 || p.lostErr != nil {
				t.Error(p.events, p.lostErr)
			}
			buf := make([]byte, 100)
			if n, _, err := peer.ReadFrom(buf); string(buf[:n]) != "last words" {
				t.Errorf("%q, %v", buf[:n], err)
			}
		})
	}
}

func TestLoopCloseClosesDatagramDescriptors(t *testing.T) {
	l, err := loop.New(&loop.Options{Engine: loop.Epoll})
	if err != nil {
		t.Fatal(err)
	}
	p := &postman{}
	if _, err := l.CreateDatagramEndpoint(t.Context(), p, &anyPort); err != nil {
		t.Fatal(err)
	}
	at := here(p).String()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	again, err := net.ListenPacket("udp", at)
	if err != nil {
		t.Fatal("the port is still taken:", err)
	}
	again.Close()
}

// More than an endpoint sends in one round goes out in the next ones.
func TestALargeRoundIsSentToItsEnd(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := correspondents(t, l)
		all := numbered(2000, 20)
		sendAll(t, l, client, nobody, all...)
		looptest.WaitFor(t, l, "an empty buffer", func() bool {
			return client.t.WriteBufferSize() == 0
		})
		if l.Engine().String() == "sim" { // which drops nothing
			wantTexts(t, l, server, all...)
		}
		looptest.Do(l, func() {
			if client.count("pause") != 0 && client.t.WritePaused() || len(client.errs) > 0 {
				t.Error(client.events, client.errs)
			}
		})
	})
}

// With dup3(2) the descriptor becomes something that is no socket: what nobody
// should do, and what a fatal error of the system calls looks like.
func TestS154_AnErrorThatIsNoDatagramsEndsTheEndpoint(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		p := office(t, l, &postman{}, anyPort)
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		looptest.Do(l, func() {
			p.t.PauseReading()
			raw, _ := transport.Socket(p.t)
			err := raw.Control(func(fd uintptr) {
				if err := syscall.Dup3(int(f.Fd()), int(fd), syscall.O_CLOEXEC); err != nil {
					t.Error(err)
				}
			})
			if err != nil {
				t.Error(err)
			}
			for range 3 {
				if err := p.t.SendTo([]byte("x"), here(p)); err != nil {
					t.Error(err)
				}
			}
		})
		looptest.WaitFor(t, l, "ConnectionLost", func() bool { return p.count("lost") == 1 })
		looptest.Do(l, func() {
			if !errors.Is(p.lostErr, syscall.ENOTSOCK) || len(p.errs) > 0 {
				t.Errorf("ConnectionLost(%v), errors %v", p.lostErr, p.errs)
			}
		})
	})
}

func TestS037_ADatagramEndpointIsNoStream(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		p := office(t, l, &postman{}, anyPort)
		looptest.Do(l, func() {
			if _, ok := p.t.(transport.WriteTransport); ok {
				t.Error("it has the methods of a WriteTransport")
			}
			r := transporttest.NewRecorder(t)
			if err := p.t.SetProtocol(r); !errors.Is(err, transport.ErrProtocolKind) {
				t.Errorf("SetProtocol: %v", err)
			}
			if p.t.Protocol() != transport.BaseProtocol(p) {
				t.Error("the protocol has changed")
			}
		})
	})
}
