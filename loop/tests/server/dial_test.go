package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

func TestS256_AStreamOverIPv4OrIPv6(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
				a := rig.Serve(t, l, addr, nil)
				r := transporttest.NewRecorder(t)
				rig.AbortAtEnd(t, l, r)
				tr, err := l.CreateConnection(rig.WithTimeout(t), r, a.Addrs()[0].String(), nil)
				if err != nil || r.Transport() != tr || tr.Protocol() != transport.BaseProtocol(r) {
					t.Fatalf("%v of %v, ConnectionMade got %v: %v", tr, tr.Protocol(),
						r.Transport(), err)
				}
				looptest.WaitFor(t, l, "the accept", func() bool {
					return len(a.Got) == 1 && a.Got[0].Transport() != nil
				})
				looptest.Do(l, func() {
					tr.Write([]byte("there"))
					a.Got[0].Transport().Write([]byte("and back"))
				})
				rig.WaitData(t, l, a.Got[0], []byte("there"))
				rig.WaitData(t, l, r, []byte("and back"))
			})
		})
	}
}

func TestS258_TheTransportOwnsTheSocket(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		f, peer := rig.SocketPair(t, syscall.SOCK_STREAM)
		r := transporttest.NewRecorder(t)
		tr, err := l.CreateConnection(rig.WithTimeout(t), r, "", &loop.ConnectionOptions{Sock: f})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("the file is open: %v", err)
		}
		fd := -1
		looptest.Do(l, func() {
			s, _ := transport.Socket(tr)
			_ = s.Control(func(of uintptr) { fd = int(of) })
			tr.Abort()
		})
		rig.WaitLost(t, l, r)
		looptest.Turns(l, 1)
		var st syscall.Stat_t
		if err := syscall.Fstat(fd, &st); err == nil && st.Mode&syscall.S_IFMT == syscall.S_IFSOCK {
			t.Errorf("descriptor %d is open after ConnectionLost", fd)
		}
		if err := peer.SetReadDeadline(time.Now().Add(looptest.WaitTimeout)); err != nil {
			t.Fatal(err)
		}
		if n, err := peer.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("the peer reads %d, %v", n, err)
		}
	})
}

// deafResolver makes the resolver one that tells the test of being asked.
func deafResolver(t *testing.T, asked func()) {
	old := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = old })
	net.DefaultResolver = &net.Resolver{PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			asked()
			return nil, errors.New("nobody answers")
		}}
}

func TestS260_LiteralsAreNotLookedUpAndServicesAre(t *testing.T) {
	deafResolver(t, func() { t.Error("the resolver is asked") })
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		for _, addr := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
			a := rig.Serve(t, l, addr, nil)
			a.Dial()
		}
		_, err := l.CreateConnection(rig.WithTimeout(t), transporttest.NewRecorder(t),
			"127.0.0.9:discard", nil)
		op, ok := errors.AsType[*net.OpError](err)
		if !ok || op.Addr == nil || op.Addr.String() != "127.0.0.9:9" {
			t.Errorf("a port with a name: %v", err)
		}
	})
}

func TestS265_LocalAddrOfThePeersFamilyIsTaken(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
			a := rig.Serve(t, l, addr, nil)
			r := transporttest.NewRecorder(t)
			rig.AbortAtEnd(t, l, r)
			_, err := l.CreateConnection(rig.WithTimeout(t), r, a.Addrs()[0].String(),
				&loop.ConnectionOptions{LocalAddr: ":0"}) // one of each family
			if err != nil {
				t.Errorf("to %v: %v", a.Addrs()[0], err)
			}
		}
	})
}

func TestS266_ANetworkWithoutAnAddressIsErrNoAddress(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for network, addr := range map[string]string{"tcp6": "127.0.0.1:1", "tcp4": "[::1]:1"} {
			_, err := l.CreateConnection(rig.WithTimeout(t), transporttest.NewRecorder(t), addr,
				&loop.ConnectionOptions{Network: network})
			if !errors.Is(err, loop.ErrNoAddress) {
				t.Errorf("%s of %s: %v", addr, network, err)
			}
		}
	})
}

func TestS269_TLSOptionsAreCheckedBeforeAnythingIsResolved(t *testing.T) {
	deafResolver(t, func() { t.Error("the resolver is asked") })
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		good := &tls.Config{}
		for i, o := range []loop.TLSOptions{
			{},
			{ServerName: "a"},
			{Config: good, HandshakeTimeout: -1},
			{Config: good, ShutdownTimeout: -1},
			{Config: &tls.Config{Renegotiation: tls.RenegotiateOnceAsClient}},
		} {
			r := transporttest.NewRecorder(t)
			_, err := l.CreateConnection(rig.WithTimeout(t), r, "nothing.example.:80",
				&loop.ConnectionOptions{TLS: &o})
			if dns := (*net.DNSError)(nil); err == nil || errors.As(err, &dns) {
				t.Errorf("case %d: %v", i, err)
			}
		}
	})
}

func TestS270_NothingIsLeftOfAConnectionThatWasGivenUp(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			r := transporttest.NewRecorder(t)
			done := make(chan error, 1)
			looptest.Do(l, func() {
				l.CreateConnectionFunc(ctx, r, a.Addrs()[0].String(), nil,
					func(_ transport.Transport, err error) { done <- err })
				cancel()
			})
			if err := <-done; err == nil { // it was connected already
				looptest.Do(l, r.Transport().Abort)
			} else if !errors.Is(err, context.Canceled) || r.Trace() != "" {
				t.Errorf("%v, callbacks %q", err, r.Trace())
			}
		}
		a.Close()
		looptest.WaitFor(t, l, "the server's ends to go", func() bool {
			return l.Stats().Transports == 0
		})
	})
}

func TestS271_AfterConnectionMadeTheTransportIsReturned(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := transporttest.NewRecorder(t)
		rig.AbortAtEnd(t, l, r)
		r.On.Made = func(transport.Transport) { cancel() }
		tr, err := l.CreateConnection(ctx, r, a.Addrs()[0].String(), nil)
		if err != nil || tr != r.Transport() || tr.IsClosing() {
			t.Errorf("%v, %v", tr, err)
		}
	})
}

func TestS272_ConnectAcceptedSocketIsForStreams(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		peer, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		accepted, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		f, err := accepted.(*net.TCPConn).File()
		accepted.Close()
		if err != nil {
			t.Fatal(err)
		}
		r := transporttest.NewRecorder(t)
		rig.AbortAtEnd(t, l, r)
		tr, err := l.ConnectAcceptedSocket(rig.WithTimeout(t), r, f, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := transport.PeerName(tr); got == nil || got.String() != peer.LocalAddr().String() {
			t.Errorf("peername %v", got)
		}
		if _, err := peer.Write([]byte("hello")); err != nil {
			t.Error(err)
		}
		rig.WaitData(t, l, r, []byte("hello"))
		d, _ := rig.SocketPair(t, syscall.SOCK_DGRAM)
		_, err = l.ConnectAcceptedSocket(rig.WithTimeout(t), transporttest.NewRecorder(t), d, nil)
		if !errors.Is(err, loop.ErrNotStream) {
			t.Errorf("a datagram socket: %v", err)
		}
	})
}

// A look-up on the loop's goroutine would wait for itself.
func TestS274_TheLoopGoesOnWhileANameIsLookedUp(t *testing.T) {
	var log rig.Lines
	looptest.EnginesWith(t, rig.DebugOptions(&log), func(t *testing.T, l *loop.Loop) {
		var asked sync.Once
		rounds := make(chan bool, 1)
		deafResolver(t, func() {
			asked.Do(func() {
				round := make(chan struct{})
				l.CallSoonThreadsafe(func() { close(round) })
				select {
				case <-round:
					rounds <- true
				case <-time.After(looptest.WaitTimeout):
					rounds <- false
				}
			})
		})
		_, err := l.CreateConnection(rig.WithTimeout(t), transporttest.NewRecorder(t),
			"nothing.example.:80", nil)
		if dns := (*net.DNSError)(nil); !errors.As(err, &dns) {
			t.Error(err)
		}
		if len(rounds) == 0 || !<-rounds {
			t.Error("no round of the loop during the look-up")
		}
		_, line, _ := strings.Cut(log.Text(), "msg=resolved")
		line, _, _ = strings.Cut(line, "\n")
		if !strings.Contains(line, "nothing.example.:80") || !strings.Contains(line, "duration=") {
			t.Errorf("debug mode logs of the look-up %q", line)
		}
	})
}

func TestS275_NetworkNamesTheFamily(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		both := rig.Serve(t, l, "", &loop.ServerOptions{Network: "tcp"})
		either := transporttest.NewRecorder(t)
		rig.AbortAtEnd(t, l, either)
		_, err := l.CreateConnection(rig.WithTimeout(t), either, both.Addrs()[0].String(),
			&loop.ConnectionOptions{Network: "tcp"})
		if err != nil {
			t.Errorf("tcp: %v", err)
		}
		for network, want := range map[string]string{"tcp4": "127.0.0.1", "tcp6": "::1"} {
			a := rig.Serve(t, l, ":0", &loop.ServerOptions{Network: network})
			at := a.Addrs()[0].(*net.TCPAddr)
			if four := at.IP.To4() != nil; len(a.Addrs()) != 1 || four != (network == "tcp4") {
				t.Errorf("%s listens on %v", network, a.Addrs())
			}
			r := transporttest.NewRecorder(t)
			rig.AbortAtEnd(t, l, r)
			_, port, _ := net.SplitHostPort(at.String())
			tr, err := l.CreateConnection(rig.WithTimeout(t), r, ":"+port,
				&loop.ConnectionOptions{Network: network})
			if err != nil {
				t.Fatal(err)
			}
			if peer := transport.PeerName(tr).(*net.TCPAddr); peer.IP.String() != want {
				t.Errorf("%s connects to %v", network, peer)
			}
		}
		_, err = l.CreateConnection(rig.WithTimeout(t), transporttest.NewRecorder(t),
			"127.0.0.1:1", &loop.ConnectionOptions{Network: "udp"})
		if _, ok := errors.AsType[net.UnknownNetworkError](err); !ok {
			t.Errorf("connecting: %v", err)
		}
		_, err = l.CreateServer(rig.WithTimeout(t), rig.NewMirror, "127.0.0.1:0",
			&loop.ServerOptions{Network: "unix"})
		if _, ok := errors.AsType[net.UnknownNetworkError](err); !ok ||
			!strings.Contains(err.Error(), "unix") {
			t.Errorf("serving: %v", err)
		}
	})
}
