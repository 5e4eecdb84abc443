package load_test

import (
	"errors"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/bench/internal/leaktest"
	"github.com/sluice-net/sluice/bench/internal/load"
	"github.com/sluice-net/sluice/bench/internal/netserver"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// enough is how long a load may run in which there is a fault, which ends it.
const enough = 30 * time.Second

// fileSize is how much of a file is sent at a time.
const fileSize = 1 << 20

// serve starts std net in this process.
func serve(t *testing.T, mode contest.Mode) (addr string, page *contest.Page) {
	t.Helper()
	page = new(contest.Page)
	s, err := netserver.Listen(contest.Task{Mode: mode, Page: page, Size: fileSize})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.Addr(), page
}

func dial(t *testing.T, addr string, opts load.Options) *load.Pool {
	t.Helper()
	runtime.LockOSThread() // which ends with the test: the ring is the thread's
	opts.Sleep = true
	p, err := load.Dial(addr, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func run(t *testing.T, p *load.Pool, s load.Slice) load.Outcome {
	t.Helper()
	out, err := p.Run(s)
	for err == nil && out.Messages == 0 && s.Time < enough { // too short on a busy machine
		s.Time *= 2
		out, err = p.Run(s)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out.Messages == 0 || out.Bytes == 0 {
		t.Fatalf("%+v: nothing moved", out)
	}
	if out.Elapsed < s.Time || out.Busy > out.Elapsed || out.Busy <= 0 {
		t.Errorf("%+v: times that cannot be, for a slice of %v", out, s.Time)
	}
	return out
}

func histogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 60e9, 3) }

// carriers are the ways in which bytes that come back are carried: io_uring where
// there is one, and epoll.
func carriers(t *testing.T, f func(t *testing.T, epoll bool)) {
	t.Helper()
	t.Run("uring", func(t *testing.T) {
		if err := load.Uring(); err != nil {
			t.Skipf("needs io_uring: %v", err)
		}
		f(t, false)
	})
	t.Run("epoll", func(t *testing.T) { f(t, true) })
}

func TestEcho(t *testing.T) { carriers(t, testEcho) }

func testEcho(t *testing.T, epoll bool) {
	for _, c := range []struct {
		name               string
		conns, size, depth int
	}{
		{"one connection, one byte", 1, 1, 1},
		{"ping-pong", 20, 64, 1},
		{"messages as large as the server's buffer", 3, 64 << 10, 1},
		{"messages larger than the socket's buffers", 2, 3 << 20, 2},
		{"pipelined, depth no power of two", 5, 100, 13},
		{"more connections than the ring has entries", 2500, 10, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr, _ := serve(t, contest.Echo)
			p := dial(t, addr, load.Options{
				Conns: c.conns, Size: c.size, Depth: c.depth, Epoll: epoll})
			for _, verify := range []bool{true, false} {
				h := histogram()
				out := run(t, p,
					load.Slice{Time: 30 * time.Millisecond, Verify: verify, Latency: h})
				if out.Bytes != out.Messages*int64(c.size) {
					t.Errorf("%+v: %d messages are not that many bytes", out, out.Messages)
				}
				if out.Messages < int64(c.conns*c.depth) {
					t.Errorf("%d messages: not every connection had its turn", out.Messages)
				}
				if p.Peak() != c.conns*c.depth {
					t.Errorf("%d messages were under way at once, want %d",
						p.Peak(), c.conns*c.depth)
				}
				if h.TotalCount() != out.Messages {
					t.Errorf("%d latencies of %d messages", h.TotalCount(), out.Messages)
				}
			}
		})
	}
}

func TestRateIsKept(t *testing.T) { carriers(t, testRateIsKept) }

func testRateIsKept(t *testing.T, epoll bool) {
	addr, _ := serve(t, contest.Echo)
	p := dial(t, addr, load.Options{Conns: 4, Size: 64, Depth: 1, Rate: 2000, Epoll: epoll})
	out := run(t, p, load.Slice{Time: 100 * time.Millisecond})
	if out.Messages+out.Late != 200 {
		t.Errorf("%d messages and %d late ones, want 200", out.Messages, out.Late)
	}
}

// A server that stops for a while must not look fast for having been asked
// nothing meanwhile.
func TestRateCountsTheTimeThatMessagesWait(t *testing.T) {
	const pause = 60 * time.Millisecond
	addr := lazyServer(t, pause)
	p := dial(t, addr, load.Options{Conns: 1, Size: 64, Depth: 1, Rate: 1000})
	h := histogram()
	run(t, p, load.Slice{Time: 100 * time.Millisecond, Latency: h})
	if p80 := time.Duration(h.ValueAtQuantile(80)); p80 < pause/2 {
		t.Errorf("p80 is %v, although the server slept %v of 100 ms", p80, pause)
	}
}

// lazyServer echoes on one connection, but lets pause pass between the first
// bytes and their answer.
func lazyServer(t *testing.T, pause time.Duration) string {
	return single(t, func(c net.Conn) {
		buf := make([]byte, 64<<10)
		for first := true; ; first = false {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if first {
				<-time.After(pause)
			}
			c.Write(buf[:n])
		}
	})
}

// single serves one connection.
func single(t *testing.T, serve func(c net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		serve(c)
	})
	return l.Addr().String()
}

func TestUpload(t *testing.T) {
	for _, conns := range []int{1, 10} {
		addr, page := serve(t, contest.Receive)
		page.Verify.Store(true)
		p := dial(t, addr, load.Options{
			Kind: load.Upload, Conns: conns, Received: page.Received.Load})
		sum := int64(0)
		for range 3 {
			sum += run(t, p, load.Slice{Time: 20 * time.Millisecond}).Bytes
		}
		if got := page.Received.Load(); got != sum {
			t.Errorf("%d conns: the server has %d bytes, the load counted %d", conns, got, sum)
		}
		if n := page.Mismatched.Load(); n != 0 {
			t.Errorf("%d conns: the server found %d mismatches", conns, n)
		}
	}
}

func TestDownload(t *testing.T) {
	for _, conns := range []int{1, 10} {
		addr, _ := serve(t, contest.Send)
		p := dial(t, addr, load.Options{
			Kind: load.Download, Conns: conns, Size: contest.BlockSize})
		for _, verify := range []bool{true, false, true} {
			out := run(t, p, load.Slice{Time: 20 * time.Millisecond, Verify: verify})
			if out.Bytes != out.Messages*contest.BlockSize {
				t.Errorf("%+v: not whole blocks", out)
			}
		}
	}
}

func TestWrongBytesAreFound(t *testing.T) { carriers(t, testWrongBytesAreFound) }

func testWrongBytesAreFound(t *testing.T, epoll bool) {
	spoil := func(c net.Conn) {
		buf := make([]byte, 4096)
		for sum := 0; ; {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if sum += n; sum > 10000 {
				buf[n-1] ^= 1
			}
			c.Write(buf[:n])
		}
	}
	p := dial(t, single(t, spoil), load.Options{
		Conns: 1, Size: 64, Depth: 2, Epoll: epoll})
	if _, err := p.Run(load.Slice{Time: enough}); !errors.Is(err, load.ErrMismatch) {
		t.Errorf("Run returned %v, want ErrMismatch", err)
	}
}

func TestMoreThanWasSentIsFound(t *testing.T) { carriers(t, testMoreThanWasSentIsFound) }

func testMoreThanWasSentIsFound(t *testing.T, epoll bool) {
	babble := func(c net.Conn) {
		c.Read(make([]byte, 64))
		c.Write(contest.Pattern(0, 128))
		c.Read(make([]byte, 64))
	}
	p := dial(t, single(t, babble), load.Options{
		Conns: 1, Size: 64, Depth: 1, Epoll: epoll})
	if _, err := p.Run(load.Slice{Verify: true}); !errors.Is(err, load.ErrMismatch) {
		t.Errorf("Run returned %v, want ErrMismatch", err)
	}
}

func TestAServerThatClosesIsAnError(t *testing.T) { carriers(t, testAServerThatClosesIsAnError) }

func testAServerThatClosesIsAnError(t *testing.T, epoll bool) {
	p := dial(t, single(t, func(net.Conn) {}), load.Options{
		Conns: 1, Size: 64, Depth: 1, Epoll: epoll})
	if _, err := p.Run(load.Slice{Time: enough}); err == nil {
		t.Error("Run returned no error")
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = load.Dial(l.Addr().String(), load.Options{Conns: 3, Size: 64, Depth: 1})
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("Dial returned %v, want an error that names the address", err)
	}
}

func TestRunDoesNotAllocate(t *testing.T) { carriers(t, testRunDoesNotAllocate) }

func testRunDoesNotAllocate(t *testing.T, epoll bool) {
	addr, page := serve(t, contest.Echo)
	p := dial(t, addr, load.Options{
		Conns: 2, Size: 64, Depth: 4, Epoll: epoll, Received: page.Received.Load})
	h := histogram()
	messages := int64(0)
	allocs := testing.AllocsPerRun(3, func() {
		messages += run(t, p, load.Slice{Time: 5 * time.Millisecond, Latency: h}).Messages
	})
	if allocs > 2 { // the server's are among them, and the test's
		t.Errorf("%v allocations in a slice of some %d messages", allocs, messages/4)
	}
}

func TestDatagrams(t *testing.T) { carriers(t, testDatagrams) }

func testDatagrams(t *testing.T, epoll bool) {
	c, err := netserver.ListenDatagrams()
	if err != nil {
		t.Fatal(err)
	}
	var server sync.WaitGroup
	server.Go(func() { netserver.EchoDatagrams(c) })
	t.Cleanup(func() { c.Close(); server.Wait() })
	for _, o := range []load.Options{{Conns: 1, Depth: 1}, {Conns: 32, Depth: 1},
		{Conns: 3, Depth: 10}} {
		o.Datagrams, o.Size, o.Epoll = true, 512, epoll
		p := dial(t, c.LocalAddr().String(), o)
		for _, verify := range []bool{true, false} {
			out := run(t, p, load.Slice{Time: 20 * time.Millisecond, Verify: verify})
			if out.Bytes != out.Messages*512 || p.Peak() != o.Conns*o.Depth {
				t.Errorf("%+v, at most %d under way", out, p.Peak())
			}
		}
	}
}

func TestDownloadOfFiles(t *testing.T) {
	addr, _ := serve(t, contest.SendFile)
	p := dial(t, addr, load.Options{Kind: load.Download, Conns: 3, Size: fileSize})
	for _, verify := range []bool{true, false} {
		out := run(t, p, load.Slice{Time: 20 * time.Millisecond, Verify: verify})
		if out.Bytes != out.Messages*fileSize {
			t.Errorf("%+v: not whole files", out)
		}
	}
}

func TestRelay(t *testing.T) {
	backend, err := load.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Close)
	s, err := netserver.Listen(contest.Task{
		Mode: contest.Relay, Page: new(contest.Page), Target: backend.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	p := dial(t, s.Addr(), load.Options{
		Kind: load.Relay, Conns: 4, Size: contest.BlockSize, Backend: backend})
	for _, verify := range []bool{true, false} {
		out := run(t, p, load.Slice{Time: 20 * time.Millisecond, Verify: verify})
		if out.Bytes != out.Messages*contest.BlockSize {
			t.Errorf("%+v: not whole blocks", out)
		}
	}
}

func TestTLS(t *testing.T) { carriers(t, testTLS) }

func testTLS(t *testing.T, epoll bool) {
	for _, o := range []load.Options{{Conns: 1, Size: 1, Depth: 1},
		{Conns: 5, Size: 1024, Depth: 1}, {Conns: 2, Size: 40000, Depth: 3},
		{Conns: 1, Size: 3 << 20, Depth: 1}} {
		addr, _ := serve(t, contest.EchoTLS)
		o.TLS, o.Epoll = true, epoll
		p := dial(t, addr, o)
		for _, verify := range []bool{true, false} {
			out := run(t, p, load.Slice{Time: 20 * time.Millisecond, Verify: verify})
			if out.Bytes != out.Messages*int64(o.Size) || p.Peak() != o.Conns*o.Depth {
				t.Errorf("%+v, at most %d under way", out, p.Peak())
			}
		}
	}
}

func TestAServerWithoutTLSIsFound(t *testing.T) {
	runtime.LockOSThread()
	addr, _ := serve(t, contest.Echo)
	_, err := load.Dial(addr, load.Options{Conns: 1, Size: 1, Depth: 1, TLS: true, Sleep: true})
	if err == nil || !strings.Contains(err.Error(), "handshake") {
		t.Errorf("Dial returned %v", err)
	}
}
