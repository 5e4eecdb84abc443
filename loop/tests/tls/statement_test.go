package tls_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/tlsio"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

func TestS175_TheHandshakeIsOverInConnectionMade(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		var made []*transporttest.Recorder
		protocolOf := func() protocol.Protocol {
			r := transporttest.NewRecorder(t)
			r.On.Made = func(tr transport.Transport) {
				if state, ok := transport.TLSState(tr); !ok || !state.HandshakeComplete {
					t.Errorf("in ConnectionMade: TLS %v, complete %v", ok, state.HandshakeComplete)
				}
				made = append(made, r)
			}
			return r
		}
		s, err := l.CreateServer(rig.WithTimeout(t), protocolOf, "127.0.0.1:0",
			&loop.ServerOptions{TLS: &loop.TLSOptions{Config: rig.ServerTLS()}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		tr, err := l.CreateConnection(rig.WithTimeout(t), protocolOf(), s.Addrs()[0].String(),
			&loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: rig.ClientTLS()}})
		if err != nil {
			t.Fatal(err)
		}
		looptest.WaitFor(t, l, "both ends", func() bool { return len(made) == 2 })
		looptest.Do(l, tr.Abort)
		for _, r := range made {
			rig.WaitLost(t, l, r)
		}
	})
}

func TestS176_CallsThatConnectWaitForTheHandshake(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		a := serveTLS(t, l, loop.ServerOptions{})
		client, err := a.TryTLS(loop.ConnectionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := transport.TLSState(client.Transport()); !ok || client.Count("made") != 1 {
			t.Errorf("CreateConnection returned before the handshake: %s", client.Trace())
		}
		plain, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer plain.Close()
		go func() {
			if c, err := plain.Accept(); err == nil {
				c.Write([]byte("220 what do you want?\r\n"))
				c.Close()
			}
		}()
		r := transporttest.NewRecorder(t)
		_, err = l.CreateConnection(rig.WithTimeout(t), r, plain.Addr().String(),
			&loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: rig.ClientTLS()}})
		if _, ok := errors.AsType[tls.RecordHeaderError](err); !ok {
			t.Errorf("CreateConnection: %v", err)
		}
		silent(t, r)
		f, peer := rig.SocketPair(t, syscall.SOCK_STREAM)
		if _, err := peer.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		_, err = l.ConnectAcceptedSocket(rig.WithTimeout(t), r, f,
			&loop.ServerOptions{TLS: &loop.TLSOptions{Config: rig.ServerTLS()}})
		if _, ok := errors.AsType[tls.RecordHeaderError](err); !ok {
			t.Errorf("ConnectAcceptedSocket: %v", err)
		}
		silent(t, r)
	})
}

// refusedTLS checks what a server and a client say to options.
func refusedTLS(t *testing.T, o loop.TLSOptions, server, client error) {
	t.Helper()
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		refused := func(what string, err, want error) {
			if !errors.Is(err, want) {
				t.Errorf("%s with %+v: %v, want %v", what, o, err, want)
			}
		}
		s, err := l.CreateServer(rig.WithTimeout(t), rig.NewMirror, "127.0.0.1:0",
			&loop.ServerOptions{TLS: &o})
		if refused("a server", err, server); err == nil {
			s.Close()
		}
		_, err = l.CreateConnection(rig.WithTimeout(t), transporttest.NewRecorder(t),
			"127.0.0.1:1", &loop.ConnectionOptions{TLS: &o})
		refused("a client", err, client)
	})
}

func TestS180_ANegativeTimeoutIsAnError(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	c := rig.ServerTLS()
	refusedTLS(t, loop.TLSOptions{Config: c, HandshakeTimeout: -1}, tlsio.ErrTimeout,
		tlsio.ErrTimeout)
	refusedTLS(t, loop.TLSOptions{Config: c, ShutdownTimeout: -1}, tlsio.ErrTimeout,
		tlsio.ErrTimeout)
	refusedTLS(t, loop.TLSOptions{Config: c}, nil, syscall.ECONNREFUSED)
}

func TestS209_OnlyAServerNeedsACertificate(t *testing.T) {
	refusedTLS(t, loop.TLSOptions{Config: &tls.Config{}}, tlsio.ErrNoCertificate,
		syscall.ECONNREFUSED)
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", &loop.ServerOptions{TLS: nil})
		_, client := a.Dial()
		looptest.Do(l, func() {
			if _, ok := transport.TLSState(client.Transport()); ok {
				t.Error("TLS that nobody asked for")
			}
		})
	})
}

func TestS213_RenegotiationIsRefused(t *testing.T) {
	c := rig.ServerTLS()
	c.Renegotiation = tls.RenegotiateFreelyAsClient
	refusedTLS(t, loop.TLSOptions{Config: c}, tlsio.ErrRenegotiation, tlsio.ErrRenegotiation)
}

func TestS184_CloseWaitsForThePeersCloseNotify(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := serveTLS(t, l, loop.ServerOptions{})
		server, client := a.DialTLS(loop.ConnectionOptions{
			TLS: &loop.TLSOptions{ShutdownTimeout: time.Minute}})
		ended, answered := false, false
		looptest.Do(l, func() {
			server.On.EOF = func() bool { ended = true; return false }
			client.On.Lost = func(error) {
				answered, _ = client.Transport().ExtraInfo("close_notify").(bool)
				if !ended {
					t.Error("the client did not wait for the server")
				}
			}
			client.Transport().Close()
		})
		lost(t, l, client, nil)
		lost(t, l, server, nil)
		if !answered {
			t.Error("the client does not know of the server's close_notify")
		}
	})
}

func TestS186_CloseWaitsOneSecondForThePeersCloseNotify(t *testing.T) {
	n := looptest.New(t, looptest.Options{})
	client, freeze := muteTLS(t, n.Loop, loop.ConnectionOptions{})
	var took time.Duration
	looptest.Do(n.Loop, func() {
		freeze()
		began := n.Time()
		client.On.Lost = func(error) { took = n.Time() - began }
		client.Transport().Close()
	})
	lost(t, n.Loop, client, nil)
	if took < time.Second || took > 1100*time.Millisecond {
		t.Errorf("Close took %v although the peer does not answer", took)
	}
}

func TestS205_APanicWhileReceivingIsThatOfTheTLSTransport(t *testing.T) {
	for _, buffered := range []bool{false, true} {
		looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
			r, callback := transporttest.NewRecorder(t), "DataReceived"
			message := "Fatal error: protocol.data_received() call failed."
			var p protocol.Protocol = r
			r.On.Data = func([]byte) { panic("planned") }
			if buffered {
				p, callback = r.Buffered(10), "BufferUpdated"
				message = "Fatal error: protocol.buffer_updated() call failed."
				r.On.Updated = func(int) { panic("planned") }
			}
			a := serveTLS(t, l, loop.ServerOptions{})
			tr, err := l.CreateConnection(rig.WithTimeout(t), p, a.Addrs()[0].String(),
				&loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: rig.ClientTLS()}})
			if err != nil {
				t.Fatal(err)
			}
			looptest.Expect(l, message)
			looptest.WaitFor(t, l, "the accept", func() bool {
				return len(a.Got) == 1 && a.Got[0].Transport() != nil
			})
			notified := true
			looptest.Do(l, func() {
				a.Got[0].On.EOF = func() bool {
					notified, _ = a.Got[0].Transport().ExtraInfo("close_notify").(bool)
					return false
				}
				a.Got[0].Transport().Write([]byte("boom"))
			})
			rig.WaitLost(t, l, r)
			_, err = r.Lost()
			if panicked, ok := errors.AsType[*protocol.PanicError](err); !ok ||
				panicked.Callback != callback {
				t.Errorf("ConnectionLost(%v)", err)
			}
			e := looptest.Exceptions(l)[0]
			if e.Transport != transport.BaseTransport(tr) ||
				e.Protocol != transport.BaseProtocol(p) {
				t.Errorf("reported of %v and %v", e.Transport, e.Protocol)
			}
			rig.WaitLost(t, l, a.Got[0])
			if notified {
				t.Error("the peer got close_notify")
			}
		})
	}
}

func TestS211_HandshakesThatEndBadlyLeaveNothing(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		a := serveTLS(t, l, loop.ServerOptions{
			TLS: &loop.TLSOptions{HandshakeTimeout: 20 * time.Millisecond}})
		for _, greeting := range []string{"", "GET / HTTP/1.0\r\n\r\n"} {
			c, err := net.Dial("tcp", a.Addrs()[0].String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write([]byte(greeting)); err != nil {
				t.Error(err)
			}
		}
		ctx, cancel := context.WithCancel(rig.WithTimeout(t))
		defer cancel()
		deaf, err := l.CreateServer(t.Context(), func() protocol.Protocol {
			r := transporttest.NewRecorder(t)
			r.On.Data = func([]byte) { cancel() } // the handshake has begun
			return r
		}, "127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer deaf.Close()
		_, err = l.CreateConnection(ctx, transporttest.NewRecorder(t), deaf.Addrs()[0].String(),
			&loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: rig.ClientTLS()}})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		looptest.WaitFor(t, l, "the ends", func() bool {
			return l.Stats().HandshakesFailed == 3 && l.Stats().Transports == 0
		})
		if n := handshakes(); n != 0 {
			t.Errorf("%d coroutines are left", n)
		}
	})
}

func TestS252_OnlyHandshakesThatSucceedMakeAProtocol(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		// Only a peer that says nothing meets the short timeout: a handshake may take
		// longer where the machine is busy.
		hasty := serveTLS(t, l, loop.ServerOptions{
			TLS: &loop.TLSOptions{HandshakeTimeout: 20 * time.Millisecond}})
		mute := transporttest.NewRecorder(t)
		_, err := l.CreateConnection(rig.WithTimeout(t), mute, hasty.Addrs()[0].String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		rig.WaitLost(t, l, mute)
		a := serveTLS(t, l, loop.ServerOptions{})
		other := rig.ClientTLS()
		other.ServerName = "elsewhere.test"
		_, err = a.TryTLS(loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: other}})
		if err == nil || !strings.Contains(err.Error(), "elsewhere.test") {
			t.Error(err)
		}
		server, _ := a.DialTLS(loop.ConnectionOptions{})
		looptest.Pass(t, l, 50*time.Millisecond)
		looptest.Do(l, func() {
			if len(hasty.Got) != 0 || len(a.Got) != 1 || server.Transport().IsClosing() {
				t.Errorf("%d and %d protocols, closing %v", len(hasty.Got), len(a.Got),
					server.Transport().IsClosing())
			}
		})
	})
}
