package rig

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// Mirror sends back what it receives.
type Mirror struct {
	protocol.Base
	t transport.Transport
}

// ConnectionMade keeps the transport.
func (m *Mirror) ConnectionMade(t transport.Transport) { m.t = t }

// DataReceived writes what came.
func (m *Mirror) DataReceived(data []byte) { m.t.Write(data) }

// CountingProtocol counts the bytes and the ends of all transports that have it.
type CountingProtocol struct {
	protocol.Base
	Received int // bytes
	Lost     int // ends
}

// DataReceived counts the bytes.
func (p *CountingProtocol) DataReceived(data []byte) { p.Received += len(data) }

// ConnectionLost counts the ends.
func (p *CountingProtocol) ConnectionLost(error) { p.Lost++ }

// NewMirror is a factory of Mirrors.
func NewMirror() protocol.Protocol { return &Mirror{} }

// Accepting is a server that keeps the recorders of its connections.
type Accepting struct {
	*loop.Server
	L   *loop.Loop                // the server's
	T   *testing.T                // the test that it serves
	Got []*transporttest.Recorder // the loop's goroutine
}

// Serve makes a server on addr; nil options and "" mean a free local port.
func Serve(t *testing.T, l *loop.Loop, addr string, opts *loop.ServerOptions) *Accepting {
	t.Helper()
	a := &Accepting{L: l, T: t}
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	s, err := l.CreateServer(WithTimeout(t), func() protocol.Protocol {
		r := transporttest.NewRecorder(t)
		a.Got = append(a.Got, r)
		return r
	}, addr, opts)
	if err != nil {
		t.Fatal(err)
	}
	a.Server = s
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return a
}

// Dial connects to the server and waits until it has made the connection.
func (a *Accepting) Dial() (server, client *transporttest.Recorder) {
	a.T.Helper()
	client = transporttest.NewRecorder(a.T)
	before := 0
	looptest.Do(a.L, func() { before = len(a.Got) })
	_, err := a.L.CreateConnection(WithTimeout(a.T), client, a.Addrs()[0].String(), nil)
	if err != nil {
		a.T.Fatal(err)
	}
	AbortAtEnd(a.T, a.L, client)
	looptest.WaitFor(a.T, a.L, "the accept", func() bool {
		return len(a.Got) > before && a.Got[before].Transport() != nil
	})
	return a.Got[before], client
}

// Refused checks that nobody listens on the server's address.
func (a *Accepting) Refused() {
	a.T.Helper()
	r := transporttest.NewRecorder(a.T)
	AbortAtEnd(a.T, a.L, r)
	_, err := a.L.CreateConnection(WithTimeout(a.T), r, a.Addrs()[0].String(), nil)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		a.T.Errorf("connect: %v, want ECONNREFUSED", err)
	}
}

// Factory returns a factory of recorders.
func (a *Accepting) Factory() protocol.Factory {
	return func() protocol.Protocol { return transporttest.NewRecorder(a.T) }
}

// DialTLS connects to the server and waits until it has made the connection.
func (a *Accepting) DialTLS(opts loop.ConnectionOptions) (server, client *transporttest.Recorder) {
	a.T.Helper()
	before := 0
	looptest.Do(a.L, func() { before = len(a.Got) })
	client, err := a.TryTLS(opts)
	if err != nil {
		a.T.Fatal(err)
	}
	looptest.WaitFor(a.T, a.L, "the server's handshake", func() bool {
		return len(a.Got) > before && a.Got[before].Transport() != nil
	})
	return a.Got[before], client
}

// TryTLS connects to the server.
func (a *Accepting) TryTLS(opts loop.ConnectionOptions) (*transporttest.Recorder, error) {
	a.T.Helper()
	client := transporttest.NewRecorder(a.T)
	if opts.TLS == nil {
		opts.TLS = &loop.TLSOptions{}
	}
	if opts.TLS.Config == nil {
		opts.TLS.Config = ClientTLS()
	}
	_, err := a.L.CreateConnection(WithTimeout(a.T), client, a.Addrs()[0].String(), &opts)
	AbortAtEnd(a.T, a.L, client)
	return client, err
}

// DialGo connects crypto/tls to the server.
func (a *Accepting) DialGo(config *tls.Config) (*tls.Conn, *transporttest.Recorder) {
	a.T.Helper()
	before := 0
	looptest.Do(a.L, func() { before = len(a.Got) })
	conn, err := tls.Dial("tcp", a.Addrs()[0].String(), config)
	if err != nil {
		a.T.Fatal(err)
	}
	a.T.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(looptest.WaitTimeout)); err != nil {
		a.T.Fatal(err)
	}
	looptest.WaitFor(a.T, a.L, "the server's handshake", func() bool {
		return len(a.Got) > before && a.Got[before].Transport() != nil
	})
	return conn, a.Got[before]
}

// Listener is package net's.
func Listener(t *testing.T, path string) *net.UnixListener {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// UnixServer are options for which there is nothing that is only for Unix sockets.
func UnixServer(o loop.ServerOptions) *loop.UnixServerOptions {
	return &loop.UnixServerOptions{ServerOptions: o}
}

// ServeUnix makes a server at path.
func ServeUnix(t *testing.T, l *loop.Loop, path string, opts *loop.UnixServerOptions) *Accepting {
	t.Helper()
	a := &Accepting{L: l, T: t}
	var err error
	a.Server, err = l.CreateUnixServer(WithTimeout(t), func() protocol.Protocol {
		r := transporttest.NewRecorder(t)
		a.Got = append(a.Got, r)
		return r
	}, path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := a.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return a
}

// DialUnix connects to the server and waits until it has made the connection.
func (a *Accepting) DialUnix() (server, client *transporttest.Recorder) {
	a.T.Helper()
	client = transporttest.NewRecorder(a.T)
	before := 0
	looptest.Do(a.L, func() { before = len(a.Got) })
	path := a.Addrs()[0].(*net.UnixAddr).Name
	if _, err := a.L.CreateUnixConnection(WithTimeout(a.T), client, path, nil); err != nil {
		a.T.Fatal(err)
	}
	AbortAtEnd(a.T, a.L, client)
	looptest.WaitFor(a.T, a.L, "the accept", func() bool {
		return len(a.Got) > before && a.Got[before].Transport() != nil
	})
	return a.Got[before], client
}
