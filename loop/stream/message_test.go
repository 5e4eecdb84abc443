package stream_test

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/stream"
)

// messagePairs runs f with both ends of a connection of messages, on each engine, and
// with a pair of package net's, which has to behave in the same way.
func messagePairs(t *testing.T, f func(t *testing.T, client, server net.Conn)) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := messagePair(t, l)
		f(t, client, server)
	})
	t.Run("net", func(t *testing.T) {
		ln, err := net.Listen("unixpacket", filepath.Join(t.TempDir(), "s"))
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		client, err := net.Dial("unixpacket", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		f(t, client, server)
	})
}

// messagePair makes a connection of messages that is gone at the end of the test.
func messagePair(t *testing.T, l *loop.Loop) (client, server *stream.MessageConn) {
	t.Helper()
	ln := listen(t, l, "unixpacket")
	defer ln.Close()
	c, s, err := connect(l, ln)
	if err != nil {
		t.Fatal(err)
	}
	client, server = c.(*stream.MessageConn), s.(*stream.MessageConn)
	t.Cleanup(func() {
		for _, c := range []*stream.MessageConn{client, server} {
			c.Abort()
			gone(t, c)
		}
	})
	return client, server
}

// wantMessage reads one message into room bytes.
func wantMessage(t *testing.T, c io.Reader, room int, want string) {
	t.Helper()
	p := make([]byte, room)
	if n, err := c.Read(p); string(p[:n]) != want || err != nil {
		t.Errorf("read %q, %v, want %q", p[:n], err, want)
	}
}

func TestS463_EachReadAndEachWriteIsOneMessage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	messagePairs(t, func(t *testing.T, client, server net.Conn) {
		long := strings.Repeat("long ", 8000)
		for _, m := range []string{"abcdef", "gh", long, "i"} {
			write(t, client, []byte(m))
		}
		wantMessage(t, server, 4, "abcd")
		if n, err := server.Read(nil); n != 0 || err != nil {
			t.Errorf("Read(nil): %d, %v", n, err)
		}
		wantMessage(t, server, 100, "gh")
		wantMessage(t, server, 1<<20, long)
		write(t, server, []byte("back"))
		wantMessage(t, client, 100, "back")
		n, err := client.Write(make([]byte, 64<<20))
		if n != 0 {
			t.Errorf("a message of 64 MiB: %d bytes were written", n)
		}
		wantErr(t, "a message of 64 MiB", err, syscall.EMSGSIZE)
		write(t, client, []byte("last"))
		if err := client.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Error(err)
		}
		_, err = client.Write([]byte("later"))
		wantErr(t, "Write after CloseWrite", err, syscall.EPIPE)
		wantMessage(t, server, 100, "i")
		wantMessage(t, server, 100, "last")
		wantEOF(t, server)
		wantEOF(t, server)
		if a := server.LocalAddr(); a.Network() != "unixpacket" || a.String() == "" {
			t.Errorf("the server is %q of network %q", a, a.Network())
		}
		client.Close()
		_, err = client.Read(make([]byte, 1))
		wantErr(t, "Read after Close", err, net.ErrClosed)
	})
}

func TestS463_WritersOfMessagesWaitForTheReader(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	messagePairs(t, func(t *testing.T, client, server net.Conn) {
		const count, size = 200, 20000
		writing := background(func() (int, error) {
			for i := range count {
				p := make([]byte, size)
				p[0] = byte(i)
				if _, err := client.Write(p); err != nil {
					return i, err
				}
			}
			return count, client.Close()
		})
		p := make([]byte, 2*size)
		for i := range count {
			n, err := server.Read(p)
			if n != size || p[0] != byte(i) || err != nil {
				t.Fatalf("message %d: %d bytes, the first is %d, %v", i, n, p[0], err)
			}
		}
		if r := soon(t, "all writes", writing); r.n != count || r.err != nil {
			t.Errorf("%d messages were written, %v", r.n, r.err)
		}
		wantEOF(t, server)
	})
}

func TestS463_MessagesHaveDeadlines(t *testing.T) {
	messagePairs(t, func(t *testing.T, client, server net.Conn) {
		server.SetReadDeadline(time.Now().Add(-time.Second))
		_, err := server.Read(make([]byte, 1))
		if e := net.Error(nil); !errors.As(err, &e) || !e.Timeout() {
			t.Errorf("Read after its deadline: %v", err)
		}
		server.SetReadDeadline(time.Time{})
		write(t, client, []byte("x"))
		wantMessage(t, server, 1, "x")
	})
}
