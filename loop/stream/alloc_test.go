package stream_test

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/stream"
)

// A message there and back, through the loop and two goroutines, with a deadline for
// each, allocates nothing.
func TestMessagesDoNotAllocate(t *testing.T) {
	if debug.On {
		t.Skip("needs a build without checks: they allocate")
	}
	kernels(t, func(t *testing.T, l *loop.Loop) {
		client, server := pair(t, l)
		go io.Copy(struct{ io.Writer }{server}, struct{ io.Reader }{server})
		for _, size := range []int{64, 20_000} {
			p := make([]byte, size)
			allocs := testing.AllocsPerRun(200, func() {
				client.SetDeadline(time.Now().Add(waitTimeout))
				if _, err := client.Write(p); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(client, p); err != nil {
					t.Fatal(err)
				}
			})
			if allocs != 0 {
				t.Errorf("%d bytes there and back: %v allocations", size, allocs)
			}
		}
	})
}

func TestDatagramsDoNotAllocate(t *testing.T) {
	if debug.On {
		t.Skip("needs a build without checks: they allocate")
	}
	kernels(t, func(t *testing.T, l *loop.Loop) {
		a, b := endpoint(t, l, "udp4", "127.0.0.1:0"), endpoint(t, l, "udp4", "127.0.0.1:0")
		to := netip.MustParseAddrPort(b.LocalAddr().String())
		p := make([]byte, 512)
		allocs := testing.AllocsPerRun(200, func() {
			if _, err := a.WriteToUDPAddrPort(p, to); err != nil {
				t.Fatal(err)
			}
			if _, _, err := b.ReadFromUDPAddrPort(p); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("a datagram: %v allocations", allocs)
		}
	})
}

// BenchmarkEcho is a message there and back.
func BenchmarkEcho(b *testing.B) {
	l := running(b)
	ln := listen(b, l, "tcp")
	defer ln.Close()
	client, server, err := connect(l, ln)
	if err != nil {
		b.Fatal(err)
	}
	defer client.(*stream.Conn).WaitClosed(b.Context())
	defer client.Close()
	go func() {
		io.Copy(struct{ io.Writer }{server}, struct{ io.Reader }{server})
		server.Close()
	}()
	p := make([]byte, 64)
	for b.Loop() {
		client.Write(p)
		if _, err := io.ReadFull(client, p); err != nil {
			b.Fatal(err)
		}
	}
}

// running is a loop that runs until the end of tb.
func running(tb testing.TB) *loop.Loop {
	l, err := loop.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.RunForever() }()
	tb.Cleanup(func() {
		l.Stop()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
		if err := l.Close(); err != nil {
			tb.Error(err)
		}
	})
	return l
}
