package stream_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/net/nettest"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/stream"
)

// listen listens on any address of a network.
func listen(tb testing.TB, l *loop.Loop, network string) net.Listener {
	tb.Helper()
	at := "127.0.0.1:0"
	switch {
	case network == "tcp6":
		at = "[::1]:0"
	case network == "unix" && simulated(l):
		at = "@" + tb.Name()
	case network == "unix":
		at = filepath.Join(tb.TempDir(), "socket")
	}
	ln, err := stream.Listen(l, network, at)
	if err != nil {
		tb.Fatal(err)
	}
	return ln
}

// connect makes a connection through a listener.
func connect(l *loop.Loop, ln net.Listener) (client, server net.Conn, err error) {
	a := ln.Addr()
	client, err = stream.Dial(context.Background(), l, a.Network(), a.String())
	if err != nil {
		return nil, nil, err
	}
	server, err = ln.Accept()
	return client, server, err
}

// Package nettest's own suite for a net.Conn, on each engine.
func TestConnsAreThoseOfPackageNet(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(network, func(t *testing.T) {
				ln := listen(t, l, network)
				defer ln.Close()
				nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
					c1, c2, err = connect(l, ln)
					stop = func() {
						c1.Close()
						c2.Close()
						c1.(*stream.Conn).Abort()
						c2.(*stream.Conn).Abort()
					}
					return c1, c2, stop, err
				})
			})
		}
	})
}
