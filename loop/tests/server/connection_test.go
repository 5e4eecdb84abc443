package server_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
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

func TestS004_CreateConnectionReturnsAfterConnectionMade(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		r, made := transporttest.NewRecorder(t), false
		r.On.Made = func(transport.Transport) {
			made = true // which the race detector looks at
		}
		rig.AbortAtEnd(t, l, r)
		tr, err := l.CreateConnection(rig.WithTimeout(t), r, a.Addrs()[0].String(), nil)
		if err != nil || r.Transport() != tr || !made {
			t.Errorf("CreateConnection: %v, transport of ConnectionMade %v, %v",
				tr, r.Transport(), err)
		}
	})
}

func TestCreateConnectionOnTheLoopIsErrOnLoop(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		looptest.Do(l, func() {
			r := transporttest.NewRecorder(t)
			_, err := l.CreateConnection(context.Background(), r, "127.0.0.1:1", nil)
			if !errors.Is(err, loop.ErrOnLoop) {
				t.Error(err)
			}
			_, err = l.CreateServer(context.Background(), nil, "127.0.0.1:0", nil)
			if !errors.Is(err, loop.ErrOnLoop) {
				t.Error(err)
			}
		})
		if _, err := l.CreateConnection(t.Context(), nil, "127.0.0.1:1", nil); !errors.Is(err,
			transport.ErrNilProtocol) {
			t.Errorf("nil protocol: %v", err)
		}
		if _, err := l.CreateServer(t.Context(), nil, "127.0.0.1:0", nil); !errors.Is(err,
			transport.ErrNilProtocol) {
			t.Errorf("nil factory: %v", err)
		}
	})
}

func TestS031_NoDelayAndKeepAliveAreSet(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", &loop.ServerOptions{KeepAlive: true})
		server, client := a.Dial()
		ends := map[string]*transporttest.Recorder{"server": server, "client": client}
		for name, r := range ends {
			looptest.Do(l, func() {
				if on := sockopt(t, r, syscall.IPPROTO_TCP, syscall.TCP_NODELAY); on == 0 {
					t.Errorf("%s: TCP_NODELAY is off", name)
				}
			})
		}
		looptest.Do(l, func() {
			if on := sockopt(t, server, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE); on == 0 {
				t.Error("SO_KEEPALIVE is off")
			}
			fd := a.Sockets()[0]
			v, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR)
			if v == 0 {
				t.Errorf("SO_REUSEADDR is off: %v", err)
			}
		})
		b := rig.Serve(t, l, "", &loop.ServerOptions{ReusePort: true})
		rig.Serve(t, l, b.Addrs()[0].String(), &loop.ServerOptions{ReusePort: true})
	})
}

// asyncio looks at the number of the protocol, which is 0 for most sockets.
func TestS032_NoDelayIsSetOnASocketOfTheUsers(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		to := netip.MustParseAddrPort(rig.Serve(t, l, "", nil).Addrs()[0].String())
		for _, protocol := range []int{0, syscall.IPPROTO_TCP} {
			fd, err := syscall.Socket(syscall.AF_INET,
				syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, protocol)
			if err != nil {
				t.Fatal(err)
			}
			f := os.NewFile(uintptr(fd), "socket")
			if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(to.Port()),
				Addr: to.Addr().As4()}); err != nil {
				t.Fatal(err)
			}
			r := transporttest.NewRecorder(t)
			rig.AbortAtEnd(t, l, r)
			_, err = l.CreateConnection(rig.WithTimeout(t), r, "",
				&loop.ConnectionOptions{Sock: f})
			if err != nil {
				t.Fatal(err)
			}
			looptest.Do(l, func() {
				if on := sockopt(t, r, syscall.IPPROTO_TCP, syscall.TCP_NODELAY); on == 0 {
					t.Errorf("TCP_NODELAY is off for protocol %d", protocol)
				}
			})
		}
	})
}

func sockopt(t *testing.T, r *transporttest.Recorder, level, option int) (value int) {
	t.Helper()
	s, ok := transport.Socket(r.Transport())
	if !ok {
		t.Error("no socket")
		return 0
	}
	if err := s.Control(func(fd uintptr) {
		value, _ = syscall.GetsockoptInt(int(fd), level, option)
	}); err != nil {
		t.Error(err)
	}
	return value
}

func TestS257_SockIsTakenOver(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		for _, adopt := range []func(p protocol.Protocol, f *os.File) (transport.Transport, error){
			func(p protocol.Protocol, f *os.File) (transport.Transport, error) {
				return l.CreateConnection(rig.WithTimeout(t), p, "",
					&loop.ConnectionOptions{Sock: f})
			},
			func(p protocol.Protocol, f *os.File) (transport.Transport, error) {
				return l.ConnectAcceptedSocket(rig.WithTimeout(t), p, f, nil)
			},
		} {
			f, peer := rig.SocketPair(t, syscall.SOCK_STREAM)
			r := transporttest.NewRecorder(t)
			tr, err := adopt(r, f)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("the file is open: %v", err)
			}
			if _, err := peer.Write([]byte("hello")); err != nil {
				t.Error(err)
			}
			looptest.WaitFor(t, l, "data", func() bool { return string(r.Data()) == "hello" })
			looptest.Do(l, func() { tr.Write([]byte("bye")); tr.Close() })
			b := make([]byte, 10)
			if n, err := peer.Read(b); string(b[:n]) != "bye" {
				t.Errorf("the peer read %q, %v", b[:n], err)
			}
			rig.WaitLost(t, l, r)
		}
	})
}

func TestS257_SockMustBeAStreamAndExcludesAnAddress(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		f, _ := rig.SocketPair(t, syscall.SOCK_DGRAM)
		_, err := l.CreateConnection(t.Context(), transporttest.NewRecorder(t), "",
			&loop.ConnectionOptions{Sock: f})
		if !errors.Is(err, loop.ErrNotStream) {
			t.Errorf("a datagram socket: %v", err)
		}
		f, _ = rig.SocketPair(t, syscall.SOCK_STREAM)
		defer f.Close()
		_, err = l.CreateConnection(t.Context(), transporttest.NewRecorder(t), "127.0.0.1:1",
			&loop.ConnectionOptions{Sock: f})
		if err == nil {
			t.Error("Sock with an address is no error")
		}
		_, err = l.CreateConnection(t.Context(), transporttest.NewRecorder(t), "", nil)
		if err == nil {
			t.Error("neither Sock nor an address is no error")
		}
	})
}

func TestS246_ServerOnASocketOfTheUsers(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f, err := ln.(*net.TCPListener).File()
		ln.Close()
		if err != nil {
			t.Fatal(err)
		}
		a := &rig.Accepting{L: l, T: t}
		a.Server, err = l.CreateServer(rig.WithTimeout(t), func() protocol.Protocol {
			r := transporttest.NewRecorder(t)
			a.Got = append(a.Got, r)
			return r
		}, "", &loop.ServerOptions{Sock: f})
		if err != nil {
			t.Fatal(err)
		}
		_, client := a.Dial()
		looptest.Do(l, client.Transport().Abort)
		rig.WaitLost(t, l, client)
		rig.WaitLost(t, l, a.Got[0])
		a.Close()
		d, _ := rig.SocketPair(t, syscall.SOCK_DGRAM)
		_, err = l.CreateServer(t.Context(), a.Factory(), "", &loop.ServerOptions{Sock: d})
		if !errors.Is(err, loop.ErrNotStream) {
			t.Errorf("a datagram socket: %v", err)
		}
		besides, _ := rig.SocketPair(t, syscall.SOCK_STREAM)
		defer besides.Close()
		for _, o := range []loop.ServerOptions{
			{Sock: besides, Addrs: []string{"127.0.0.1:0"}}, {},
		} {
			if _, err := l.CreateServer(t.Context(), a.Factory(), "", &o); err == nil {
				t.Errorf("%+v without an address is no error", o)
			}
		}
		_, err = l.CreateServer(t.Context(), a.Factory(), "127.0.0.1:0",
			&loop.ServerOptions{Sock: besides})
		if err == nil {
			t.Error("Sock with an address is no error")
		}
	})
}

func TestS264_ARefusedConnectionNamesTheAddress(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		a.Close()
		if err := a.WaitClosed(rig.WithTimeout(t)); err != nil {
			t.Fatal(err)
		}
		r := transporttest.NewRecorder(t)
		_, err := l.CreateConnection(rig.WithTimeout(t), r, a.Addrs()[0].String(), nil)
		var op *net.OpError
		if !errors.Is(err, syscall.ECONNREFUSED) || !errors.As(err, &op) || op.Op != "dial" ||
			op.Addr.String() != a.Addrs()[0].String() {
			t.Errorf("%v", err)
		}
		if got := r.Trace(); got != "" {
			t.Errorf("callbacks of a connection that never was: %s", got)
		}
	})
}

func TestS267_TheSecondAddressIsTriedWhenTheFirstFails(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "127.0.0.1:0", nil)
		port := a.Addrs()[0].(*net.TCPAddr).AddrPort().Port()
		r := transporttest.NewRecorder(t)
		rig.AbortAtEnd(t, l, r)
		// The empty host is 127.0.0.1 and ::1; Interleave decides nothing here.
		addr := netip.AddrPortFrom(netip.Addr{}, port)
		_, err := l.CreateConnection(rig.WithTimeout(t), r, ":"+portOf(addr),
			&loop.ConnectionOptions{HappyEyeballsDelay: -1})
		if err != nil {
			t.Fatal(err)
		}
		b := rig.Serve(t, l, "[::1]:0", nil)
		six := b.Addrs()[0].(*net.TCPAddr).AddrPort()
		second := transporttest.NewRecorder(t)
		rig.AbortAtEnd(t, l, second)
		_, err = l.CreateConnection(rig.WithTimeout(t), second, ":"+portOf(six), nil)
		if err != nil {
			t.Fatal(err)
		}
		b.Close()
		a.Close()
		_, err = l.CreateConnection(rig.WithTimeout(t), transporttest.NewRecorder(t),
			":"+portOf(six), &loop.ConnectionOptions{AllErrors: true})
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok || len(joined.Unwrap()) != 2 {
			t.Errorf("AllErrors: %v", err)
		}
	})
}

func portOf(a netip.AddrPort) string {
	_, port, _ := net.SplitHostPort(net.TCPAddrFromAddrPort(a).String())
	return port
}

func TestS265_LocalAddress(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		r := transporttest.NewRecorder(t)
		rig.AbortAtEnd(t, l, r)
		tr, err := l.CreateConnection(rig.WithTimeout(t), r, a.Addrs()[0].String(),
			&loop.ConnectionOptions{LocalAddr: "127.0.0.7:0"})
		if err != nil {
			t.Fatal(err)
		}
		looptest.Do(l, func() {
			if ip := transport.SockName(tr).(*net.TCPAddr).IP.String(); ip != "127.0.0.7" {
				t.Errorf("connected from %s", ip)
			}
		})
		_, err = l.CreateConnection(rig.WithTimeout(t), transporttest.NewRecorder(t),
			a.Addrs()[0].String(), &loop.ConnectionOptions{LocalAddr: "[::1]:0"})
		if !errors.Is(err, loop.ErrNoAddress) {
			t.Errorf("LocalAddr of another family: %v", err)
		}
	})
}

func TestS270_CancelledConnectionLeavesNothing(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		for i := range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			r := transporttest.NewRecorder(t)
			rig.AbortAtEnd(t, l, r)
			done := make(chan error, 1)
			looptest.Do(l, func() {
				l.CreateConnectionFunc(ctx, r, a.Addrs()[0].String(), nil,
					func(_ transport.Transport, err error) { done <- err })
				if i%2 == 0 {
					cancel()
				}
			})
			cancel()
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			} else if (err == nil) != (r.Count("made") == 1) {
				t.Errorf("result %v, ConnectionMade %d times", err, r.Count("made"))
			}
		}
		looptest.WaitFor(t, l, "the server's ends to go", func() bool {
			return !slices.ContainsFunc(a.Got, func(r *transporttest.Recorder) bool {
				return r.Transport() == nil
			})
		})
	})
}

func TestS274_NamesAreResolvedOffTheLoop(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "localhost:0", nil)
		port := a.Addrs()[0].(*net.TCPAddr).AddrPort()
		r := transporttest.NewRecorder(t)
		rig.AbortAtEnd(t, l, r)
		_, err := l.CreateConnection(rig.WithTimeout(t), r, "localhost:"+portOf(port), nil)
		if err != nil {
			t.Error(err)
		}
		_, err = l.CreateConnection(rig.WithTimeout(t), transporttest.NewRecorder(t),
			"no port", nil)
		if err == nil {
			t.Error("an address without a port is no error")
		}
		var op *net.OpError
		_, err = l.CreateConnection(rig.WithTimeout(t), transporttest.NewRecorder(t),
			"127.0.0.9:discard", nil)
		if !errors.As(err, &op) || op.Addr.String() != "127.0.0.9:9" {
			t.Errorf("a port with a name: %v", err)
		}
	})
}

func TestS123_OneProtocolForSeveralTransports(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		shared := &rig.CountingProtocol{}
		s, err := l.CreateServer(rig.WithTimeout(t), func() protocol.Protocol { return shared },
			"127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			r := transporttest.NewRecorder(t)
			_, err := l.CreateConnection(rig.WithTimeout(t), r, s.Addrs()[0].String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			looptest.Do(l, func() { r.Transport().Write([]byte("x")); r.Transport().Close() })
			rig.WaitLost(t, l, r)
		}
		looptest.WaitFor(t, l, "three connections", func() bool { return shared.Lost == 3 })
		if shared.Received != 3 {
			t.Errorf("received %d bytes", shared.Received)
		}
		s.Close()
	})
}
