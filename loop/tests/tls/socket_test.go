package tls_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

func TestTLSOverUnixSockets(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		path := filepath.Join(t.TempDir(), "s")
		server, client := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
		server.On.Data = func(b []byte) { server.Transport().Write(b) }
		s, err := l.CreateUnixServer(rig.WithTimeout(t), func() protocol.Protocol { return server },
			path, &loop.UnixServerOptions{ServerOptions: loop.ServerOptions{
				TLS: &loop.TLSOptions{Config: rig.ServerTLS(), RequireCloseNotify: true}}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		tr, err := l.CreateUnixConnection(rig.WithTimeout(t), client, path,
			&loop.ConnectionOptions{TLS: &loop.TLSOptions{
				Config: rig.ClientTLS(), ServerName: "sluice.test", RequireCloseNotify: true}})
		if err != nil {
			t.Fatal(err)
		}
		const size = 1 << 20
		looptest.Do(l, func() {
			if s, ok := transport.TLSState(tr); !ok || s.ServerName != "sluice.test" {
				t.Errorf("TLS state %v, %+v", ok, s)
			}
			tr.Write(make([]byte, size))
		})
		looptest.WaitFor(t, l, "the echo", func() bool { return client.Received() == size })
		looptest.Do(l, func() { tr.Close() })
		lost(t, l, client, nil)
		lost(t, l, server, nil)
	})
}

func TestS272_ConnectAcceptedSocketWithTLS(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		f, peer := rig.SocketPair(t, syscall.SOCK_STREAM)
		defer peer.Close()
		config := rig.ClientTLS()
		config.ServerName = "sluice.test"
		client := tls.Client(peer, config)
		echoed := make(chan error, 1)
		go func() {
			got := make([]byte, 5)
			_, err := client.Write([]byte("hello"))
			if err == nil {
				_, err = io.ReadFull(client, got)
			}
			if err == nil && string(got) != "hello" {
				err = errors.New(string(got))
			}
			if err == nil {
				err = client.CloseWrite()
			}
			if _, end := client.Read(got); err == nil && end != io.EOF {
				err = end
			}
			echoed <- err
		}()
		server := transporttest.NewRecorder(t)
		server.On.Data = func(b []byte) { server.Transport().Write(b) }
		server.On.Made = func(tr transport.Transport) {
			if _, ok := transport.TLSState(tr); !ok {
				t.Error("no TLS")
			}
		}
		_, err := l.ConnectAcceptedSocket(rig.WithTimeout(t), server, f,
			&loop.ServerOptions{TLS: &loop.TLSOptions{
				Config: rig.ServerTLS(), RequireCloseNotify: true}})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-echoed; err != nil {
			t.Error("the client:", err)
		}
		lost(t, l, server, nil)
	})
}

func TestAFactoryOrConnectionMadeThatFailsIsNotAFailedHandshake(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, nilProtocol := range []bool{true, false} {
			looptest.Expect(l, "")
			s, err := l.CreateServer(rig.WithTimeout(t), func() protocol.Protocol {
				if nilProtocol {
					return nil
				}
				r := transporttest.NewRecorder(t)
				r.On.Made = func(transport.Transport) { panic("planned") }
				return r
			}, "127.0.0.1:0", &loop.ServerOptions{TLS: &loop.TLSOptions{
				Config:           rig.ServerTLS(),
				OnHandshakeError: func(_ net.Addr, err error) { t.Error("told:", err) }}})
			if err != nil {
				t.Fatal(err)
			}
			client := transporttest.NewRecorder(t)
			_, err = l.CreateConnection(rig.WithTimeout(t), client, s.Addrs()[0].String(),
				&loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: rig.ClientTLS()}})
			if err == nil { // which in TLS 1.3 is done before the server
				looptest.WaitFor(t, l, "the end", func() bool { is, _ := client.Lost(); return is })
			}
			s.Close()
		}
		looptest.WaitFor(t, l, "the end", func() bool { return l.Stats().Transports == 0 })
		looptest.Do(l, func() {
			if st := l.Stats(); st.Handshakes < 2 || st.HandshakesFailed > 0 {
				t.Errorf("%d handshakes, %d failed", st.Handshakes, st.HandshakesFailed)
			}
		})
	})
}

// A coroutine that nobody resumes would stay for ever.
func TestCloseOfTheLoopEndsHandshakesUnderWay(t *testing.T) {
	l, err := loop.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.RunForever() }()
	a := &rig.Accepting{L: l, T: t}
	a.Server, err = l.CreateServer(rig.WithTimeout(t), func() protocol.Protocol { return nil },
		"127.0.0.1:0", &loop.ServerOptions{TLS: &loop.TLSOptions{Config: rig.ServerTLS()}})
	if err != nil {
		t.Fatal(err)
	}
	mute, err := net.Dial("tcp", a.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	looptest.WaitFor(t, l, "the accept", func() bool { return l.Stats().Transports == 1 })
	if n := handshakes(); n != 1 {
		t.Errorf("%d handshakes under way", n)
	}
	l.Stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if n := handshakes(); n != 0 {
		t.Errorf("%d coroutines left behind", n)
	}
}

// handshakes counts coroutines.
func handshakes() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return strings.Count(string(stacks), "tlsio.(*Transport).begin.func1(")
}
