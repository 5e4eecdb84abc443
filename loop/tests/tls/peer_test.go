package tls_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// versions runs f for each version of TLS.
func versions(t *testing.T, f func(t *testing.T, l *loop.Loop, version uint16)) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			rig.OnKernels(t, func(t *testing.T, l *loop.Loop) { f(t, l, version) })
		})
	}
}

func TestAClientOfCryptoTls(t *testing.T) {
	versions(t, func(t *testing.T, l *loop.Loop, version uint16) {
		a := serveTLS(t, l, loop.ServerOptions{})
		config := rig.ClientTLS()
		config.MaxVersion = version
		conn, server := a.DialGo(config)
		looptest.Do(l, func() {
			server.On.Data = func(b []byte) { server.Transport().Write(b) }
		})
		data := make([]byte, 1<<20)
		for i := range data {
			data[i] = byte(i >> 8)
		}
		go conn.Write(data)
		got := make([]byte, len(data))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != string(data) {
			t.Errorf("the echo is another, %v", err)
		}
		looptest.Do(l, func() {
			if s, _ := transport.TLSState(server.Transport()); s.Version != version {
				t.Errorf("version %x", s.Version)
			}
			server.Transport().Close()
		})
		if n, err := conn.Read(got); n != 0 || err != io.EOF {
			t.Errorf("after Close: %d, %v", n, err)
		}
		conn.Close()
		lost(t, l, server, nil)
	})
}

func TestAServerOfCryptoTls(t *testing.T) {
	versions(t, func(t *testing.T, l *loop.Loop, version uint16) {
		config := rig.ServerTLS()
		config.MaxVersion = version
		listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		ended := make(chan error, 1)
		go func() {
			conn, err := listener.Accept()
			if err == nil {
				_, err = io.Copy(conn, conn)
				conn.Close()
			}
			ended <- err
		}()
		client := transporttest.NewRecorder(t)
		client.On.Made = func(tr transport.Transport) { tr.Write(make([]byte, 1<<20)) }
		_, err = l.CreateConnection(rig.WithTimeout(t), client, listener.Addr().String(),
			&loop.ConnectionOptions{TLS: &loop.TLSOptions{
				Config: rig.ClientTLS(), RequireCloseNotify: true}})
		if err != nil {
			t.Fatal(err)
		}
		looptest.WaitFor(t, l, "the echo", func() bool { return client.Received() == 1<<20 })
		looptest.Do(l, func() { client.Transport().Close() })
		lost(t, l, client, nil)
		if err := <-ended; err != nil {
			t.Errorf("the server saw no close_notify: %v", err)
		}
	})
}

func TestClientCertificates(t *testing.T) {
	versions(t, func(t *testing.T, l *loop.Loop, version uint16) {
		config := rig.ServerTLS()
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, rig.TestPKI().Pool
		config.MaxVersion = version
		var failure error
		a := serveTLS(t, l, loop.ServerOptions{TLS: &loop.TLSOptions{
			Config: config, OnHandshakeError: func(_ net.Addr, err error) { failure = err }}})
		known := rig.ClientTLS()
		known.Certificates = []tls.Certificate{rig.TestPKI().Issue(t, nil, "somebody")}
		server, _ := a.DialTLS(loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: known}})
		looptest.Do(l, func() {
			c, _ := server.Transport().ExtraInfo("peercert").(*x509.Certificate)
			if c == nil || c.Subject.CommonName != "somebody" {
				t.Errorf("peercert %v", c)
			}
		})
		// In TLS 1.3 a client is done before the server has looked at it.
		client, err := a.TryTLS(loop.ConnectionOptions{})
		if err == nil {
			looptest.WaitFor(t, l, "the alert", func() bool { is, _ := client.Lost(); return is })
			_, err = client.Lost()
		}
		var alert *net.OpError
		if inner := (*net.OpError)(nil); errors.As(err, &inner) && inner.Op == "tls handshake" {
			err = inner.Err // in TLS 1.2 it is what connecting returns
		}
		if !errors.As(err, &alert) || alert.Op != "remote error" {
			t.Errorf("a client without a certificate: %v", err)
		}
		looptest.WaitFor(t, l, "the server's error", func() bool { return failure != nil })
	})
}

func TestALPNAndSNI(t *testing.T) {
	versions(t, func(t *testing.T, l *loop.Loop, version uint16) {
		config := rig.ServerTLS()
		config.NextProtos, config.MaxVersion = []string{"h2", "http/1.1"}, version
		a := serveTLS(t, l, loop.ServerOptions{TLS: &loop.TLSOptions{Config: config}})
		client := rig.ClientTLS()
		client.NextProtos, client.ServerName = []string{"http/1.1"}, "sluice.test"
		conn, server := a.DialGo(client)
		looptest.Do(l, func() {
			s, _ := transport.TLSState(server.Transport())
			if s.NegotiatedProtocol != "http/1.1" || s.ServerName != "sluice.test" {
				t.Errorf("ALPN %q, SNI %q", s.NegotiatedProtocol, s.ServerName)
			}
		})
		if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
			t.Errorf("the client has ALPN %q", got)
		}
	})
}

func TestSessionResumption(t *testing.T) {
	versions(t, func(t *testing.T, l *loop.Loop, version uint16) {
		config := rig.ServerTLS()
		config.MaxVersion = version
		a := serveTLS(t, l, loop.ServerOptions{TLS: &loop.TLSOptions{Config: config}})
		resumed := rig.ClientTLS()
		resumed.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for i := range 2 {
			server, client := a.DialTLS(loop.ConnectionOptions{TLS: &loop.TLSOptions{
				Config: resumed}})
			looptest.Do(l, func() { server.Transport().Write([]byte("x")) }) // after the ticket
			looptest.WaitFor(t, l, "a byte", func() bool { return client.Received() == 1 })
			looptest.Do(l, func() {
				s, _ := transport.TLSState(client.Transport())
				r, _ := transport.TLSState(server.Transport())
				if s.DidResume != (i == 1) || r.DidResume != (i == 1) {
					t.Errorf("connection %d: resumed %v and %v", i, s.DidResume, r.DidResume)
				}
				client.Transport().Close()
			})
			lost(t, l, client, nil)
		}
	})
}

func TestS028_ExtraInfoOfTLS(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := serveTLS(t, l, loop.ServerOptions{}).DialTLS(loop.ConnectionOptions{})
		tr := client.Transport()
		looptest.Do(l, func() {
			cipher, _ := tr.ExtraInfo("cipher").(transport.Cipher)
			if cipher.Version != "TLS 1.3" || cipher.Name == "" || cipher.Bits < 128 {
				t.Errorf("cipher %+v", cipher)
			}
			if c, _ := tr.ExtraInfo("peercert").(*x509.Certificate); c == nil {
				t.Error("no peercert")
			}
			if c, _ := tr.ExtraInfo("sslcontext").(*tls.Config); c == nil {
				t.Error("no sslcontext")
			}
			state, ok := tr.ExtraInfo("ssl_object").(tls.ConnectionState)
			if !ok || !state.HandshakeComplete {
				t.Errorf("ssl_object %v", state)
			}
			if server.Transport().ExtraInfo("peercert") != nil {
				t.Error("a peercert of a client without one")
			}
			if tr.ExtraInfo("compression") != nil {
				t.Error("compression")
			}
			if _, ok := transport.Socket(tr); !ok || transport.PeerName(tr) == nil {
				t.Error("the socket's names do not pass through")
			}
			tr.Close()
		})
		lost(t, l, client, nil)
		looptest.Do(l, func() {
			for _, name := range []string{"cipher", "peercert", "sslcontext", "ssl_object"} {
				if v := tr.ExtraInfo(name); v != nil {
					t.Errorf("%s is %v after the end", name, v)
				}
			}
			if transport.PeerName(tr) == nil {
				t.Error("the peer's name is gone")
			}
		})
	})
}
