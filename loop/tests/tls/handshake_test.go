package tls_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
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

// serveTLS makes a server with TLS.
func serveTLS(t *testing.T, l *loop.Loop, opts loop.ServerOptions) *rig.Accepting {
	t.Helper()
	if opts.TLS == nil {
		opts.TLS = &loop.TLSOptions{}
	}
	if opts.TLS.Config == nil {
		opts.TLS.Config = rig.ServerTLS()
	}
	return rig.Serve(t, l, "", &opts)
}

// silent checks that a protocol has had no callback.
func silent(t *testing.T, r *transporttest.Recorder) {
	t.Helper()
	if trace := r.Trace(); trace != "" {
		t.Errorf("after a failed handshake the protocol saw %s", trace)
	}
}

func TestS175_BothEndsHaveATLSTransport(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := serveTLS(t, l, loop.ServerOptions{})
		server, client := a.DialTLS(loop.ConnectionOptions{})
		looptest.Do(l, func() {
			for _, r := range []*transporttest.Recorder{server, client} {
				state, ok := transport.TLSState(r.Transport())
				if !ok || !state.HandshakeComplete || state.Version != tls.VersionTLS13 {
					t.Errorf("TLS state %v, %+v", ok, state)
				}
			}
			if n := l.Stats().Handshakes; n != 2 {
				t.Errorf("%d handshakes counted, want both ends", n)
			}
			server.Transport().Write([]byte("hello"))
		})
		looptest.WaitFor(t, l, "data", func() bool { return string(client.Data()) == "hello" })
	})
}

func TestS177_ABadCertificateIsACertificateVerificationError(t *testing.T) {
	expired := rig.TestPKI().Issue(t, func(c *x509.Certificate) {
		c.NotAfter = time.Now().Add(-time.Minute)
	}, "sluice.test")
	for _, c := range []struct {
		name   string
		server *tls.Config
		client *tls.Config
		want   string
	}{
		{"unknown authority", rig.ServerTLS(), &tls.Config{RootCAs: x509.NewCertPool()},
			"certificate signed by unknown authority"},
		{"expired", &tls.Config{Certificates: []tls.Certificate{expired}}, rig.ClientTLS(),
			"certificate has expired"},
		{"other name", rig.ServerTLS(), &tls.Config{RootCAs: rig.TestPKI().Pool,
			ServerName: "elsewhere.test"}, "elsewhere.test"},
	} {
		t.Run(c.name, func(t *testing.T) {
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
				var failure error
				a := serveTLS(t, l, loop.ServerOptions{TLS: &loop.TLSOptions{
					Config:           c.server,
					OnHandshakeError: func(_ net.Addr, err error) { failure = err }}})
				client, err := a.TryTLS(loop.ConnectionOptions{TLS: &loop.TLSOptions{
					Config: c.client}})
				var verification *tls.CertificateVerificationError
				if !errors.As(err, &verification) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v (%T), want %q", err, err, c.want)
				}
				silent(t, client)
				looptest.WaitFor(t, l, "the server's error", func() bool { return failure != nil })
				if !strings.Contains(failure.Error(), "certificate") {
					t.Errorf("the server was told %v", failure)
				}
			})
		})
	}
}

func TestALPNWithoutACommonProtocolFailsOnBothSides(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		var failure error
		config := rig.ServerTLS()
		config.NextProtos = []string{"h2"}
		a := serveTLS(t, l, loop.ServerOptions{TLS: &loop.TLSOptions{
			Config: config, OnHandshakeError: func(_ net.Addr, err error) { failure = err }}})
		other := rig.ClientTLS()
		other.NextProtos = []string{"smtp"}
		client, err := a.TryTLS(loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: other}})
		if err == nil || !strings.Contains(err.Error(), "no application protocol") {
			t.Error("the client was told", err)
		}
		silent(t, client)
		looptest.WaitFor(t, l, "the server's error", func() bool { return failure != nil })
		if !strings.Contains(failure.Error(), "smtp") {
			t.Error("the server was told", failure)
		}
	})
}

func TestS178_EOFInTheHandshake(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		s, err := l.CreateServer(rig.WithTimeout(t), func() protocol.Protocol {
			r := transporttest.NewRecorder(t)
			r.On.Data = func([]byte) { r.Transport().Close() }
			return r
		}, "127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		client := transporttest.NewRecorder(t)
		_, err = l.CreateConnection(rig.WithTimeout(t), client, s.Addrs()[0].String(),
			&loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: rig.ClientTLS()}})
		if !errors.Is(err, syscall.ECONNRESET) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v is neither ECONNRESET nor an unexpected EOF", err)
		}
		silent(t, client)
	})
}

func TestS179_HandshakeTimeout(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		var failure error
		a := serveTLS(t, l, loop.ServerOptions{TLS: &loop.TLSOptions{
			HandshakeTimeout: 20 * time.Millisecond,
			OnHandshakeError: func(_ net.Addr, err error) { failure = err }}})
		mute := transporttest.NewRecorder(t)
		_, err := l.CreateConnection(rig.WithTimeout(t), mute, a.Addrs()[0].String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		looptest.WaitFor(t, l, "the end", func() bool { lost, _ := mute.Lost(); return lost })
		looptest.WaitFor(t, l, "the server's error", func() bool {
			return errors.Is(failure, transport.ErrHandshakeTimeout)
		})
		plain := rig.Serve(t, l, "", nil) // does not answer
		client := transporttest.NewRecorder(t)
		_, err = l.CreateConnection(rig.WithTimeout(t), client, plain.Addrs()[0].String(),
			&loop.ConnectionOptions{TLS: &loop.TLSOptions{
				Config: rig.ClientTLS(), HandshakeTimeout: 20 * time.Millisecond}})
		if !errors.Is(err, transport.ErrHandshakeTimeout) {
			t.Errorf("the client: %v", err)
		}
		silent(t, client)
	})
}

func TestS179_AHandshakeHasAMinuteAndWhatFollowsAllTheTime(t *testing.T) {
	n := looptest.New(t, looptest.Options{})
	failures := 0
	a := serveTLS(t, n.Loop, loop.ServerOptions{TLS: &loop.TLSOptions{
		OnHandshakeError: func(net.Addr, error) { failures++ }}})
	server, client := a.DialTLS(loop.ConnectionOptions{})
	over := make(chan struct{})
	looptest.Do(n.Loop, func() {
		mute := n.Dial(a.Addrs()[0].String())
		n.CallLater(59*time.Second, func() {
			if failures != 0 || mute.EOF() {
				t.Error("the handshake ended early")
			}
		})
		n.CallLater(61*time.Second, func() {
			if failures != 1 || !mute.EOF() {
				t.Errorf("%d handshakes failed in a minute", failures)
			}
			if server.Transport().IsClosing() || client.Transport().IsClosing() {
				t.Error("a connection was ended by the timeout of its handshake")
			}
			client.Transport().Abort()
			close(over)
		})
	})
	<-over
	rig.WaitLost(t, n.Loop, server)
}

func TestS181_OptionsThatDoNotGoTogetherAreErrors(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		factory := func() protocol.Protocol { return transporttest.NewRecorder(t) }
		second := time.Second
		for _, c := range []struct {
			opts loop.ServerOptions
			want error
		}{
			{loop.ServerOptions{TLS: &loop.TLSOptions{HandshakeTimeout: second}},
				tlsio.ErrNoConfig},
			{loop.ServerOptions{TLS: &loop.TLSOptions{}}, tlsio.ErrNoConfig},
			{loop.ServerOptions{TLS: &loop.TLSOptions{
				Config: rig.ServerTLS(), HandshakeTimeout: -1}}, tlsio.ErrTimeout},
			{loop.ServerOptions{TLS: &loop.TLSOptions{
				Config: rig.ServerTLS(), ShutdownTimeout: -1}}, tlsio.ErrTimeout},
			{loop.ServerOptions{TLS: &loop.TLSOptions{
				Config: &tls.Config{}}}, tlsio.ErrNoCertificate},
		} {
			_, err := l.CreateServer(rig.WithTimeout(t), factory, "127.0.0.1:0", &c.opts)
			if !errors.Is(err, c.want) {
				t.Errorf("server with %+v: %v, want %v", c.opts, err, c.want)
			}
		}
		for _, c := range []struct {
			opts loop.ConnectionOptions
			want error
		}{
			{loop.ConnectionOptions{TLS: &loop.TLSOptions{ServerName: "a"}},
				tlsio.ErrNoConfig},
			{loop.ConnectionOptions{TLS: &loop.TLSOptions{}}, tlsio.ErrNoConfig},
			{loop.ConnectionOptions{TLS: &loop.TLSOptions{
				Config: &tls.Config{}, HandshakeTimeout: -1}},
				tlsio.ErrTimeout},
			{loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: &tls.Config{
				Renegotiation: tls.RenegotiateFreelyAsClient}}}, tlsio.ErrRenegotiation},
		} {
			r := transporttest.NewRecorder(t)
			_, err := l.CreateConnection(rig.WithTimeout(t), r, "127.0.0.1:1", &c.opts)
			if !errors.Is(err, c.want) {
				t.Errorf("connection with %+v: %v, want %v", c.opts, err, c.want)
			}
		}
	})
}

func TestS182_ClosingDuringTheHandshake(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := serveTLS(t, l, loop.ServerOptions{})
		for _, end := range []func(){a.CloseClients, a.AbortClients} {
			mute := transporttest.NewRecorder(t)
			var look func()
			look = func() {
				if l.Stats().Transports < 2 {
					l.CallLater(time.Millisecond, look)
					return
				}
				for c := range a.Conns() {
					t.Errorf("%v is shown during its handshake", c)
				}
				end()
			}
			mute.On.Made = func(transport.Transport) { look() }
			_, err := l.CreateConnection(rig.WithTimeout(t), mute, a.Addrs()[0].String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			looptest.WaitFor(t, l, "the end", func() bool { lost, _ := mute.Lost(); return lost })
			looptest.WaitFor(t, l, "the rest", func() bool { return l.Stats().Transports == 0 })
		}
		looptest.Do(l, func() {
			if n := l.Stats().HandshakesFailed; n != 2 || len(a.Got) != 0 {
				t.Errorf("%d failed handshakes, %d protocols made", n, len(a.Got))
			}
		})
	})
}

func TestS183_FailedHandshakesDoNotDisturbTheServer(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		var failures []error
		a := serveTLS(t, l, loop.ServerOptions{TLS: &loop.TLSOptions{
			OnHandshakeError: func(peer net.Addr, err error) {
				if failures = append(failures, err); peer == nil {
					t.Error("no address")
				}
				if len(failures) == 1 {
					panic("planned")
				}
			}}})
		looptest.Expect(l, "Exception in TLSOptions.OnHandshakeError")
		for _, hello := range []string{"GET / HTTP/1.0\r\n\r\n", "\x16\x03\x01\x00\x05hello",
			"\x80\x2e\x01", strings.Repeat("\x16\x03\x03\x40\x00", 5000)} {
			plain := transporttest.NewRecorder(t)
			plain.On.Made = func(tr transport.Transport) { tr.Write([]byte(hello)); tr.WriteEOF() }
			_, err := l.CreateConnection(rig.WithTimeout(t), plain, a.Addrs()[0].String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			looptest.WaitFor(t, l, "the end", func() bool { lost, _ := plain.Lost(); return lost })
		}
		looptest.WaitFor(t, l, "the errors", func() bool { return len(failures) == 4 })
		if !strings.Contains(failures[0].Error(), "does not look like a TLS handshake") {
			t.Errorf("a client without TLS: %v", failures[0])
		}
		if len(a.Got) != 0 {
			t.Errorf("%d protocols made", len(a.Got))
		}
		a.DialTLS(loop.ConnectionOptions{}) // both of whose ends are of this loop
		looptest.Do(l, func() {
			if s := l.Stats(); s.HandshakesFailed != 4 || s.Handshakes != 2 {
				t.Errorf("%d handshakes failed, %d did not", s.HandshakesFailed, s.Handshakes)
			}
		})
	})
}

func TestS208_ServerName(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		names := make(chan string, 10)
		config := rig.ServerTLS()
		config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			names <- h.ServerName
			return nil, nil
		}
		a := serveTLS(t, l, loop.ServerOptions{TLS: &loop.TLSOptions{Config: config}})
		a.DialTLS(loop.ConnectionOptions{}) // by its address, which is not sent
		a.DialTLS(loop.ConnectionOptions{TLS: &loop.TLSOptions{ServerName: "sluice.test"}})
		withName := rig.ClientTLS()
		withName.ServerName = "sluice.test"
		a.DialTLS(loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: withName}})
		other := loop.ConnectionOptions{TLS: &loop.TLSOptions{
			Config: withName, ServerName: "127.0.0.1"}}
		if _, err := a.TryTLS(other); err != nil {
			t.Error(err)
		}
		if withName.ServerName != "sluice.test" {
			t.Errorf("the user's Config has another name: %q", withName.ServerName)
		}
		for _, want := range []string{"", "sluice.test", "sluice.test"} {
			if got := <-names; got != want {
				t.Errorf("the server was asked for %q, want %q", got, want)
			}
		}
		r := transporttest.NewRecorder(t)
		_, err := l.CreateUnixConnection(rig.WithTimeout(t), r, "@nowhere",
			&loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: rig.ClientTLS()}})
		if !errors.Is(err, tlsio.ErrNoServerName) {
			t.Errorf("a Unix connection without a name: %v", err)
		}
	})
}

func TestAContextEndsAHandshake(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		plain := rig.Serve(t, l, "", nil) // does not answer
		ctx, cancel := context.WithCancel(t.Context())
		client := transporttest.NewRecorder(t)
		result := make(chan error, 1)
		go func() {
			_, err := l.CreateConnection(ctx, client, plain.Addrs()[0].String(),
				&loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: rig.ClientTLS()}})
			result <- err
		}()
		looptest.WaitFor(t, l, "the client's hello", func() bool {
			return len(plain.Got) == 1 && plain.Got[0].Received() > 0
		})
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		silent(t, client)
		rig.WaitLost(t, l, plain.Got[0])
	})
}

func TestPanicInAFunctionOfTheConfigEndsTheHandshake(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		config := rig.ServerTLS()
		config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			panic("planned")
		}
		config.Certificates = nil
		looptest.Expect(l, "a function of the tls.Config failed")
		a := serveTLS(t, l, loop.ServerOptions{TLS: &loop.TLSOptions{Config: config}})
		client, err := a.TryTLS(loop.ConnectionOptions{})
		if err == nil {
			t.Error("the client's handshake succeeded")
		}
		silent(t, client)
	})
}

func TestAbortInAFunctionOfTheConfig(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		var a *rig.Accepting
		config := rig.ServerTLS()
		config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			a.AbortClients()
			return nil, nil
		}
		a = serveTLS(t, l, loop.ServerOptions{TLS: &loop.TLSOptions{Config: config}})
		if _, err := a.TryTLS(loop.ConnectionOptions{}); err == nil {
			t.Error("the client's handshake succeeded")
		}
		looptest.WaitFor(t, l, "the end", func() bool { return l.Stats().Transports == 0 })
	})
}
