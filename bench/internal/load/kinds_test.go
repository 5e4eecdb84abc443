package load_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/bench/internal/load"
	"github.com/sluice-net/sluice/bench/internal/netserver"
)

func TestChurn(t *testing.T) {
	addr, page := serve(t, contest.Echo)
	p := dial(t, addr, load.Options{Kind: load.Churn, Conns: 5, Size: 64})
	h := histogram()
	out := run(t, p, load.Slice{Time: 20 * time.Millisecond, Latency: h})
	if out.Bytes != out.Messages*64 || h.TotalCount() != out.Messages {
		t.Errorf("%+v, %d latencies", out, h.TotalCount())
	}
	for end := time.Now().Add(enough); page.Conns.Load() > 0; { // the last has closed
		if time.Now().After(end) {
			t.Fatalf("%d connections are left", page.Conns.Load())
		}
	}
}

func TestChurnFindsAConnectionWithoutAnAnswer(t *testing.T) {
	p := dial(t, single(t, func(c net.Conn) { c.Read(make([]byte, 64)) }),
		load.Options{Kind: load.Churn, Conns: 1, Size: 64})
	if _, err := p.Run(load.Slice{Time: enough}); err == nil {
		t.Error("Run returned no error")
	}
}

// The times between messages are drawn, and all pools draw the same.
func TestPoissonKeepsTheRate(t *testing.T) { carriers(t, testPoissonKeepsTheRate) }

func testPoissonKeepsTheRate(t *testing.T, epoll bool) {
	addr, _ := serve(t, contest.Echo)
	var counts []int64
	late := false // of which it is not known how many they would have been
	for range 2 {
		p := dial(t, addr, load.Options{
			Conns: 4, Size: 64, Depth: 1, Rate: 5000, Poisson: true, Epoll: epoll})
		out := run(t, p, load.Slice{Time: 100 * time.Millisecond})
		counts, late = append(counts, out.Messages+out.Late), late || out.Late > 0
	}
	if n := counts[0]; n < 400 || n > 600 || !late && counts[1] != n {
		t.Errorf("%d messages, want the same number twice, of 500 or so", counts)
	}
}

func TestUnixSockets(t *testing.T) { carriers(t, testUnixSockets) }

func testUnixSockets(t *testing.T, epoll bool) {
	addr, _ := serve(t, contest.EchoUnix)
	if !strings.HasPrefix(addr, "@") {
		t.Errorf("the server is at %s", addr)
	}
	p := dial(t, addr, load.Options{Conns: 3, Size: 300_000, Depth: 2, Epoll: epoll})
	run(t, p, load.Slice{Time: 10 * time.Millisecond})
}

func TestPipes(t *testing.T) {
	addr, _ := serve(t, contest.Pipes)
	p := dial(t, addr, load.Options{Conns: 2, Size: 100_000, Depth: 1})
	run(t, p, load.Slice{Time: 10 * time.Millisecond})
}

func TestHTTP(t *testing.T) { carriers(t, testHTTP) }

func testHTTP(t *testing.T, epoll bool) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var server sync.WaitGroup
	server.Go(func() { netserver.ServeHTTP(l, new(contest.Page)) })
	t.Cleanup(func() { l.Close(); server.Wait() })
	p := dial(t, l.Addr().String(), load.Options{Kind: load.HTTP, Conns: 3, Epoll: epoll})
	h := histogram()
	out := run(t, p, load.Slice{Time: 20 * time.Millisecond, Latency: h})
	if h.TotalCount() != out.Messages {
		t.Errorf("%+v, %d latencies", out, h.TotalCount())
	}
}

func TestAnswersComeInParts(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!"
	p := dial(t, single(t, func(c net.Conn) {
		buf := make([]byte, 512)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			for i := range answer {
				io.WriteString(c, answer[i:i+1])
			}
		}
	}), load.Options{Kind: load.HTTP, Conns: 1})
	run(t, p, load.Slice{Time: 5 * time.Millisecond})
}

func TestWrongAnswersAreFound(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 500 No\r\nContent-Length: 13\r\n\r\nHello, World!",
		"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nHello, World!",
	} {
		p := dial(t, single(t, func(c net.Conn) {
			c.Read(make([]byte, 512))
			io.WriteString(c, answer)
			c.Read(make([]byte, 512))
		}), load.Options{Kind: load.HTTP, Conns: 1})
		if _, err := p.Run(load.Slice{Time: enough}); !errors.Is(err, load.ErrMismatch) {
			t.Errorf("%q: Run returned %v", answer, err)
		}
	}
}

// A server that drops datagrams: one of ten, and all of some moments.
func TestLostDatagramsAreCounted(t *testing.T) { carriers(t, testLostDatagramsAreCounted) }

func testLostDatagramsAreCounted(t *testing.T, epoll bool) {
	c, err := netserver.ListenDatagrams()
	if err != nil {
		t.Fatal(err)
	}
	const tail = 200
	dropped := 0
	var server sync.WaitGroup
	server.Go(func() {
		buf := make([]byte, 512)
		for n := 0; ; n++ {
			size, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if n%10 == 3 || n > tail && n <= tail+4 {
				dropped++
				continue
			}
			c.WriteToUDPAddrPort(buf[:size], from)
		}
	})
	p := dial(t, c.LocalAddr().String(), load.Options{
		Conns: 1, Size: 512, Depth: 4, Datagrams: true, Epoll: epoll})
	out := run(t, p, load.Slice{Time: 50 * time.Millisecond})
	p.Close()
	c.Close()
	server.Wait()
	if out.Lost != int64(dropped) || dropped == 0 {
		t.Errorf("%d of %d datagrams lost, the server dropped %d", out.Lost, out.Messages, dropped)
	}
}

// What is measured of a steady slice is its middle.
func TestASteadySliceIsMeasuredInItsMiddle(t *testing.T) {
	const warm = 20 * time.Millisecond
	for _, kind := range []load.Kind{load.Upload, load.Download} {
		mode := map[load.Kind]contest.Mode{
			load.Upload: contest.Receive, load.Download: contest.Send}[kind]
		addr, page := serve(t, mode)
		p := dial(t, addr, load.Options{Kind: kind, Conns: 2, Size: contest.BlockSize,
			Received: page.Received.Load})
		var marks []time.Time
		var out load.Outcome
		var began time.Time
		length := 20 * time.Millisecond
		for ; out.Messages == 0 && length < enough; length *= 2 { // on a busy machine
			var err error
			marks, began = nil, time.Now()
			out, err = p.Run(load.Slice{Warm: warm, Time: length,
				Mark: func() { marks = append(marks, time.Now()) }})
			if err != nil || len(marks) != 2 || marks[0].Sub(began) < warm {
				t.Fatalf("marks %v after %v, %v", marks, began, err)
			}
		}
		if between := marks[1].Sub(marks[0]); out.Elapsed > between+length || out.Messages == 0 ||
			out.Busy > out.Elapsed {
			t.Errorf("%+v, with %v between the marks", out, between)
		}
	}
}
