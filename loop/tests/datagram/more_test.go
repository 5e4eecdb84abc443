package datagram_test

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
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

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
			tr, err := l.CreateDatagramEndpoint(rig.WithTimeout(t), &rig.DatagramRecorder{}, o)
			if err == nil {
				t.Errorf("%s: made %v", name, tr)
			} else if name == "no family" && !errors.Is(err, loop.ErrNoAddress) {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := l.CreateDatagramEndpoint(rig.WithTimeout(t), nil, &rig.AnyPort)
		if !errors.Is(err, transport.ErrNilProtocol) {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = l.CreateDatagramEndpoint(ctx, &rig.DatagramRecorder{}, &rig.AnyPort)
		if err != context.Canceled {
			t.Error(err)
		}
		looptest.Do(l, func() {
			_, err := l.CreateDatagramEndpoint(context.Background(), &rig.DatagramRecorder{},
				&rig.AnyPort)
			if !errors.Is(err, loop.ErrOnLoop) {
				t.Error(err)
			}
		})
		for _, network := range []string{"udp", "udp4", "udp6"} {
			p := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
				loop.DatagramOptions{Network: network})
			if transport.PeerName(p.T) != nil {
				t.Error("a peer out of nothing")
			}
		}
	})
}

func TestS167_AServiceHasThePortThatItHasWithUdp(t *testing.T) {
	port, err := net.LookupPort("udp", "tftp") // which is none of tcp's
	if err != nil {
		t.Skip("needs the service tftp in /etc/services")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		p := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{RemoteAddr: "127.0.0.1:tftp"})
		if a, ok := transport.PeerName(p.T).(*net.UDPAddr); !ok || a.Port != port {
			t.Errorf("peername %v, want port %d", transport.PeerName(p.T), port)
		}
	})
}

func TestS168_AnAddressInUseIsReportedAndLaterPairsAreTried(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		first := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		addr := rig.AddrOf(first).String()
		_, err := l.CreateDatagramEndpoint(rig.WithTimeout(t), &rig.DatagramRecorder{},
			&loop.DatagramOptions{LocalAddr: addr})
		op, ok := errors.AsType[*net.OpError](err)
		if !ok || !errors.Is(err, syscall.EADDRINUSE) || op.Addr.String() != addr {
			t.Errorf("%T %v", err, err)
		}
		// The wildcard of IPv4 goes with a remote address of IPv4 only.
		p := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalAddr: ":0", RemoteAddr: addr})
		if got := transport.PeerName(p.T); got == nil || got.String() != addr {
			t.Errorf("peername %v, want %s", got, addr)
		}
	})
}

func TestS026_TheNamesOfAnEndpointOutliveIt(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		first := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		addr := rig.AddrOf(first).String()
		if transport.PeerName(first.T) != nil || first.T.ExtraInfo("no such name") != nil {
			t.Error("extra info of nothing")
		}
		p := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, loop.DatagramOptions{RemoteAddr: addr})
		here := rig.AddrOf(p).String()
		looptest.Do(l, func() { p.T.Close() })
		looptest.WaitFor(t, l, "the end", func() bool { return p.T.Protocol() == nil })
		if got := transport.PeerName(p.T); got == nil || got.String() != addr {
			t.Errorf("peername %v afterwards, was %s", got, addr)
		}
		if got := transport.SockName(p.T); got == nil || got.String() != here {
			t.Errorf("sockname %v afterwards, was %s", got, here)
		}
		if _, ok := transport.Socket(p.T); ok {
			t.Error("the socket outlives the endpoint")
		}
	})
}

// That of a process that has just ended is held by its operations for a moment.
func TestS168_APortInUseIsTriedAgainForAWhile(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		first := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		looptest.Do(l, func() { l.CallLater(30*time.Millisecond, first.T.Abort) })
		second := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalAddr: rig.AddrOf(first).String()})
		rig.SendAll(t, l, second, rig.AddrOf(second), "to myself")
		rig.WantTexts(t, l, second, "to myself")
	})
}

func TestS169_BroadcastSetsADestinationAndNoPeer(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		o := loop.DatagramOptions{LocalAddr: "127.0.0.1:0", RemoteAddr: rig.AddrOf(server).String()}
		client := &rig.DatagramRecorder{}
		o.Broadcast = true
		rig.OpenDatagram(t, l, client, o)
		if transport.PeerName(client.T) != nil {
			t.Error("connected")
		}
		rig.SendAll(t, l, client, rig.Nobody, "to the default destination")
		rig.WantTexts(t, l, server, "to the default destination")
		other := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		rig.SendAll(t, l, other, rig.AddrOf(client), "from somebody else")
		rig.WantTexts(t, l, client, "from somebody else")

		to := transport.Addr{AddrPort: netip.MustParseAddrPort("255.255.255.255:9")}
		rig.SendAll(t, l, other, to, "not allowed")
		looptest.WaitFor(t, l, "an error", func() bool { return len(other.Errs) == 1 })
		looptest.Do(l, func() {
			if err := other.Errs[0]; !errors.Is(err, syscall.EACCES) {
				t.Error(err)
			}
		})
	})
}

func TestS170_OnlyADatagramSocketIsTakenOver(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		f, peer := rig.SocketPair(t, syscall.SOCK_DGRAM)
		p := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, loop.DatagramOptions{Sock: f})
		if f.Fd() != ^uintptr(0) {
			t.Error("the file is still open")
		}
		if _, err := peer.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		rig.WantTexts(t, l, p, "hello")
		rig.SendAll(t, l, p, rig.Nobody, "and back")
		buf := make([]byte, 100)
		if n, err := peer.Read(buf); string(buf[:n]) != "and back" {
			t.Errorf("%q, %v", buf[:n], err)
		}
		stream, _ := rig.SocketPair(t, syscall.SOCK_STREAM)
		_, err := l.CreateDatagramEndpoint(rig.WithTimeout(t), &rig.DatagramRecorder{},
			&loop.DatagramOptions{Sock: stream})
		if !errors.Is(err, loop.ErrNotDatagram) {
			t.Error(err)
		}
	})
}

func TestS170_SockExcludesOptionsForANewSocket(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		sock, _ := rig.SocketPair(t, syscall.SOCK_DGRAM)
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
			_, err := l.CreateDatagramEndpoint(rig.WithTimeout(t), &rig.DatagramRecorder{}, &o)
			if err == nil || err.Error() != "loop: DatagramOptions.Sock excludes "+want {
				t.Errorf("%s: %v", want, err)
			}
		}
	})
}

func TestS171_OptionsReachTheSocket(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		p := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalAddr: "127.0.0.1:0",
				ReusePort: true, Broadcast: true, ReceiveBuffer: 100_000, SendBuffer: 50_000,
				MulticastTTL: 7, NoMulticastLoop: true})
		rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalAddr: rig.AddrOf(p).String(), ReusePort: true})
		s, ok := transport.Socket(p.T)
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

func TestS172_UnixDatagramsWaitForRoomAndStayInOrder(t *testing.T) {
	for _, name := range []string{"connected", "not connected"} {
		t.Run(name, func(t *testing.T) {
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
				path := filepath.Join(t.TempDir(), "s")
				server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
					loop.DatagramOptions{LocalPath: path})
				looptest.Do(l, server.T.PauseReading)
				client, to := &rig.DatagramRecorder{}, rig.AddrOf(server)
				o := loop.DatagramOptions{LocalPath: path + "c"}
				if name == "connected" {
					o.RemotePath, to = path, rig.Nobody
				}
				rig.OpenDatagram(t, l, client, o)
				all := append(numbered(200, 1000), "")
				rig.SendAll(t, l, client, to, all...)
				looptest.Pass(t, l, 30*time.Millisecond)
				looptest.Do(l, func() {
					if client.Count("pause") != 1 || client.T.WriteBufferSize() < 100_000 {
						t.Errorf("%v with %d bytes", client.Events, client.T.WriteBufferSize())
					}
					client.T.Close()
					server.T.ResumeReading()
				})
				rig.WantTexts(t, l, server, all...)
				looptest.WaitFor(t, l, "the end", func() bool { return client.Count("lost") == 1 })
				looptest.Do(l, func() {
					if client.LostErr != nil || client.Count("resume") != 1 ||
						len(client.Errs) > 0 {
						t.Error(client.LostErr, client.Events, client.Errs)
					}
					if from := server.Got[0].From; from.Path != path+"c" {
						t.Errorf("from %v", from)
					}
				})
			})
		})
	}
}

func TestS172_AStaleSocketFileIsRemovedAndNoOther(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		path := filepath.Join(t.TempDir(), "s")
		old, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		o := &loop.DatagramOptions{LocalPath: path}
		_, err = l.CreateDatagramEndpoint(rig.WithTimeout(t), &rig.DatagramRecorder{}, o)
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Error("took the path of a live socket:", err)
		}
		old.Close()
		if err := bindAndLeave(path + "2"); err != nil {
			t.Fatal(err)
		}
		rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, loop.DatagramOptions{LocalPath: path + "2"})
		if err := os.WriteFile(path+"3", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		o.LocalPath = path + "3"
		_, err = l.CreateDatagramEndpoint(rig.WithTimeout(t), &rig.DatagramRecorder{}, o)
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Error("took the path of a file:", err)
		}
		o = &loop.DatagramOptions{RemotePath: path + "4"}
		_, err = l.CreateDatagramEndpoint(rig.WithTimeout(t), &rig.DatagramRecorder{}, o)
		if !errors.Is(err, syscall.ENOENT) {
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
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		client, server := rig.DatagramPair(t, l)
		var before, after loop.Stats
		looptest.Do(l, server.T.PauseReading)
		looptest.Turns(l, 2)
		looptest.Do(l, func() { before = l.Stats() })
		all := numbered(128, 64)
		rig.SendAll(t, l, client, rig.Nobody, all...)
		looptest.Do(l, func() { after = l.Stats() })
		if n := after.Syscalls - before.Syscalls; n > 20 {
			t.Errorf("%d system calls for 128 datagrams", n)
		}
		looptest.Do(l, server.T.ResumeReading)
		rig.WantTexts(t, l, server, all...)
	})
}

func TestS021_SetProtocolChangesWhoReceives(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := rig.DatagramPair(t, l)
		next := &rig.DatagramRecorder{T: server.T}
		looptest.Do(l, func() {
			if err := server.T.SetProtocol(nil); !errors.Is(err, transport.ErrNilProtocol) {
				t.Error(err)
			}
			err := server.T.SetProtocol(transporttest.NewRecorder(t))
			if !errors.Is(err, transport.ErrProtocolKind) || server.T.Protocol() != server {
				t.Error(err, server.T.Protocol())
			}
			if err := server.T.SetProtocol(next); err != nil || server.T.Protocol() != next {
				t.Error(err, server.T.Protocol())
			}
		})
		rig.SendAll(t, l, client, rig.Nobody, "for the next one")
		rig.WantTexts(t, l, next, "for the next one")
		looptest.Do(l, func() {
			if len(server.Got) > 0 || next.Count("made") > 0 {
				t.Error(server.Events, next.Events)
			}
		})
	})
}

func TestMulticastReachesAllMembers(t *testing.T) {
	group := netip.MustParseAddr("239.255.77.77")
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		o := loop.DatagramOptions{LocalAddr: "0.0.0.0:0", JoinGroups: []netip.Addr{group},
			Interface: "lo", ReusePort: true}
		a := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, o)
		o.LocalAddr = rig.AddrOf(a).String()
		b := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, o)
		sender := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalAddr: "127.0.0.1:0", Interface: "lo"})
		to := transport.Addr{AddrPort: netip.AddrPortFrom(group, rig.AddrOf(a).Port())}
		rig.SendAll(t, l, sender, to, "to all", "members")
		rig.WantTexts(t, l, a, "to all", "members")
		rig.WantTexts(t, l, b, "to all", "members")
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
			p := &rig.DatagramRecorder{}
			o := &loop.DatagramOptions{RemoteAddr: peer.LocalAddr().String()}
			if _, err := l.CreateDatagramEndpoint(t.Context(), p, o); err != nil {
				t.Fatal(err)
			}
			if n := l.Stats().Transports; n != 1 {
				t.Errorf("%d transports", n)
			}
			s, _ := transport.Socket(p.T)
			_ = s.Control(func(fd uintptr) {
				if err := l.AddReader(int(fd), func() {}); !errors.Is(err, loop.ErrFdInUse) {
					t.Error(err)
				}
			})
			if err := p.T.SendTo([]byte("last words"), rig.Nobody); err != nil {
				t.Error(err)
			}
			if err := l.Shutdown(rig.WithTimeout(t)); err != nil {
				t.Error(err)
			}
			if p.Count("lost") != 1 || p.LostErr != nil {
				t.Error(p.Events, p.LostErr)
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
	p := &rig.DatagramRecorder{}
	if _, err := l.CreateDatagramEndpoint(t.Context(), p, &rig.AnyPort); err != nil {
		t.Fatal(err)
	}
	at := rig.AddrOf(p).String()
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
		client, server := rig.DatagramPair(t, l)
		all := numbered(2000, 20)
		rig.SendAll(t, l, client, rig.Nobody, all...)
		looptest.WaitFor(t, l, "an empty buffer", func() bool {
			return client.T.WriteBufferSize() == 0
		})
		if l.Engine().String() == "sim" { // which drops nothing
			rig.WantTexts(t, l, server, all...)
		}
		looptest.Do(l, func() {
			if client.Count("pause") != 0 && client.T.WritePaused() || len(client.Errs) > 0 {
				t.Error(client.Events, client.Errs)
			}
		})
	})
}

// dup3(2) makes the descriptor something other than a socket. Nobody should do that, but
// it is how a fatal error of the system calls can be caused.
func TestS154_AnErrorOfTheDescriptorItselfEndsTheEndpoint(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		p := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		looptest.Do(l, func() {
			p.T.PauseReading()
			raw, _ := transport.Socket(p.T)
			err := raw.Control(func(fd uintptr) {
				if err := syscall.Dup3(int(f.Fd()), int(fd), syscall.O_CLOEXEC); err != nil {
					t.Error(err)
				}
			})
			if err != nil {
				t.Error(err)
			}
			for range 3 {
				if err := p.T.SendTo([]byte("x"), rig.AddrOf(p)); err != nil {
					t.Error(err)
				}
			}
		})
		looptest.WaitFor(t, l, "ConnectionLost", func() bool { return p.Count("lost") == 1 })
		looptest.Do(l, func() {
			if !errors.Is(p.LostErr, syscall.ENOTSOCK) || len(p.Errs) > 0 {
				t.Errorf("ConnectionLost(%v), errors %v", p.LostErr, p.Errs)
			}
		})
	})
}

func TestS037_ADatagramEndpointIsNotAStream(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		p := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		looptest.Do(l, func() {
			if _, ok := p.T.(transport.WriteTransport); ok {
				t.Error("it has the methods of a WriteTransport")
			}
			r := transporttest.NewRecorder(t)
			if err := p.T.SetProtocol(r); !errors.Is(err, transport.ErrProtocolKind) {
				t.Errorf("SetProtocol: %v", err)
			}
			if p.T.Protocol() != transport.BaseProtocol(p) {
				t.Error("the protocol has changed")
			}
		})
	})
}

func TestAnEndpointThatCannotConnectLeavesNoFile(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		path := rig.SocketPath(t)
		_, err := l.CreateDatagramEndpoint(t.Context(), &rig.DatagramRecorder{},
			&loop.DatagramOptions{LocalPath: path, RemotePath: path + ".nobody"})
		if err == nil {
			t.Fatal("connected with nobody")
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file: %v", err)
		}
	})
}
