package stream_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/stream"
	"github.com/sluice-net/sluice/transport"
)

// configs are those of the two ends, which trust each other.
func configs(t *testing.T) (client, server *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"server"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{RootCAs: pool, ServerName: "server"}, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// startTLS upgrades both ends.
func startTLS(t *testing.T, client, server *stream.Conn) {
	t.Helper()
	ofClient, ofServer := configs(t)
	serving := background(func() (int, error) {
		return 0, server.StartTLS(context.Background(), ofServer)
	})
	if err := client.StartTLS(context.Background(), ofClient); err != nil {
		t.Fatal(err)
	}
	if r := soon(t, "the server's handshake", serving); r.err != nil {
		t.Fatal(r.err)
	}
}

func TestS437_StartTLSUpgradesAConnection(t *testing.T) {
	kernelPairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		if _, ok := client.ConnectionState(); ok {
			t.Error("TLS before StartTLS")
		}
		write(t, client, []byte("STARTTLS\n"))
		want(t, server, []byte("STARTTLS\n"))
		startTLS(t, client, server)
		data := letters(300_000)
		writing := background(func() (int, error) { return client.Write(data) })
		want(t, server, data)
		if r := soon(t, "the write", writing); r.err != nil {
			t.Error(r.err)
		}
		if s, ok := server.ConnectionState(); !ok || !s.HandshakeComplete {
			t.Errorf("the state is %v, %v", s, ok)
		}
		wantErr(t, "CloseWrite", client.CloseWrite(), transport.ErrNoHalfClose)
	})
}

func TestS437_WhatIsUnreadIsTheHandshakes(t *testing.T) {
	kernelPairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		ofClient, ofServer := configs(t)
		write(t, client, []byte("S")) // and the hello of the client right behind it
		dialing := background(func() (int, error) {
			return 0, client.StartTLS(context.Background(), ofClient)
		})
		until(t, l, "the hello", func() bool { return stream.Unread(server) > 1 })
		want(t, server, []byte("S"))
		if err := server.StartTLS(context.Background(), ofServer); err != nil {
			t.Fatal(err)
		}
		if r := soon(t, "the client", dialing); r.err != nil {
			t.Fatal(r.err)
		}
		write(t, server, []byte("hello"))
		want(t, client, []byte("hello"))
	})
}

func TestS435_WithTLSThePeersEndIsTheConnections(t *testing.T) {
	kernelPairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		startTLS(t, client, server)
		write(t, client, []byte("bye"))
		client.Close()
		want(t, server, []byte("bye"))
		wantEOF(t, server)
		gone(t, server)
		wantEOF(t, server)
		if _, err := server.Write([]byte("x")); err == nil {
			t.Error("a write after the end")
		}
	})
}

func TestAHandshakeThatFailsClosesTheConnection(t *testing.T) {
	kernelPairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		ofClient, ofServer := configs(t)
		ofClient = ofClient.Clone()
		ofClient.ServerName = "stranger"
		serving := background(func() (int, error) {
			return 0, server.StartTLS(context.Background(), ofServer)
		})
		err := client.StartTLS(context.Background(), ofClient)
		var unknown x509.HostnameError
		if !errors.As(err, &unknown) {
			t.Errorf("a certificate of somebody else: %v", err)
		}
		if r := soon(t, "the server", serving); r.err == nil {
			t.Error("the server does not notice")
		}
		_, err = client.Read(make([]byte, 1))
		if !errors.As(err, &unknown) {
			t.Errorf("a read afterwards: %v", err)
		}
	})
}

func TestAStartTLSThatCannotBeginChangesNothing(t *testing.T) {
	kernelPairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		write(t, server, []byte("before"))
		until(t, l, "bytes", func() bool { return stream.Unread(client) == 6 })
		if err := client.StartTLS(context.Background(), &tls.Config{}); err == nil {
			t.Error("StartTLS without a server's name")
		}
		want(t, client, []byte("before"))
		write(t, client, []byte("after"))
		want(t, server, []byte("after"))
	})
}

func TestStartTLSEndsWithItsContextAndWithClose(t *testing.T) {
	kernelPairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		ofClient, ofServer := configs(t)
		serving := background(func() (int, error) {
			return 0, server.StartTLS(context.Background(), ofServer)
		})
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		silent, _ := pair(t, l)
		err := silent.StartTLS(ctx, ofClient)
		wantErr(t, "a peer that is silent", err, context.DeadlineExceeded)
		server.Close()
		wantErr(t, "Close", soon(t, "the server", serving).err, net.ErrClosed)
	})
}

// A server of crypto/tls over a listener of ours, and a client over our Dial.
func TestCryptoTLSRunsOnConns(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		ofClient, ofServer := configs(t)
		plain := listen(t, l, "tcp")
		ln := tls.NewListener(plain, ofServer)
		defer ln.Close()
		c, s, err := connect(l, plain)
		if err != nil {
			t.Fatal(err)
		}
		client, server := tls.Client(c, ofClient), tls.Server(s, ofServer)
		writing := background(func() (int, error) { return client.Write(letters(100_000)) })
		want(t, server, letters(100_000))
		if r := soon(t, "the write", writing); r.err != nil {
			t.Error(r.err)
		}
		client.Close()
		wantEOF(t, server)
		server.Close()
		gone(t, c.(*stream.Conn))
		gone(t, s.(*stream.Conn))
	})
}
