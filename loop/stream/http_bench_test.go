package stream_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluice-net/sluice/loop/stream"
)

// BenchmarkHTTP is net/http's server with a short answer, on package net and on a loop,
// under clients on package net in the same process that wait for each answer. The
// ratio of the two is what counts: ns/op is the time for a request of all together.
func BenchmarkHTTP(b *testing.B) {
	for _, conns := range []int{1, 4, 50, 500} {
		b.Run(fmt.Sprintf("net/%d", conns), func(b *testing.B) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			benchmarkHTTP(b, conns, ln, err)
		})
		b.Run(fmt.Sprintf("stream/%d", conns), func(b *testing.B) {
			ln, err := stream.Listen(running(b), "tcp", "127.0.0.1:0")
			benchmarkHTTP(b, conns, ln, err)
		})
	}
}

func benchmarkHTTP(b *testing.B, conns int, ln net.Listener, err error) {
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "Hello, World!") })}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	var left atomic.Int64
	var all sync.WaitGroup
	left.Store(int64(b.N))
	b.ResetTimer()
	for range conns {
		all.Go(func() {
			if err := ask(ln.Addr().String(), &left); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	b.StopTimer()
	server.Close()
	if err := <-ended; err != http.ErrServerClosed {
		b.Error(err)
	}
}

// ask makes requests on a connection of its own as long as some are left.
func ask(addr string, left *atomic.Int64) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	request, answer := []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), make([]byte, 4096)
	for left.Add(-1) >= 0 {
		if _, err := c.Write(request); err != nil {
			return err
		}
		for n := 0; !bytes.HasSuffix(answer[:n], []byte("World!")); {
			k, err := c.Read(answer[n:])
			if err != nil {
				return err
			}
			n += k
		}
	}
	return nil
}
