package load_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/bench/internal/load"
	"github.com/sluice-net/sluice/bench/internal/netserver"
)

// A spoilt is a kind of load and where its stream is spoiled.
type spoilt struct {
	name     string
	mode     contest.Mode
	opts     load.Options
	at       int64
	toServer bool
	windows  bool // a slice that does not verify compares windows only
}

const spoiltConns, spoiltConn = 3, 1

var everyKind = []spoilt{
	{"ping-pong", contest.Echo, load.Options{Size: 64, Depth: 1}, 1290, false, false},
	{"large ping-pong", contest.Echo, load.Options{Size: 16 << 10, Depth: 1}, 100_000, false,
		false},
	{"pipelined", contest.Echo, load.Options{Size: 64, Depth: 16}, 5000, false, false},
	{"paced", contest.Echo, load.Options{Size: 64, Depth: 1, Rate: 20_000}, 1290, false, false},
	{"on the way there", contest.Echo, load.Options{Size: 64, Depth: 1}, 1290, true, false},
	{"TLS", contest.Echo, load.Options{Size: 1024, Depth: 1, TLS: true}, 5200, false, false},
	{"send", contest.Send, load.Options{Kind: load.Download, Size: contest.BlockSize},
		1_000_000, false, true},
	{"files", contest.SendFile, load.Options{Kind: load.Download, Size: fileSize, Depth: 2},
		3_000_000, false, true},
	{"proxy", contest.Relay, load.Options{Kind: load.Relay, Size: contest.BlockSize},
		1_000_000, true, true},
	{"fan-out", contest.FanOut, load.Options{Kind: load.FanOut, Size: 64}, 645, false, false},
}

func TestEveryKindOfLoadFindsEveryFault(t *testing.T) {
	carriers(t, func(t *testing.T, epoll bool) {
		for _, k := range everyKind {
			for _, f := range faults {
				for _, verify := range []bool{true, false} {
					if !verify && k.windows && f.name != "a byte is lost" &&
						f.name != "a byte comes twice" {
						continue // found where it falls into a window
					}
					t.Run(fmt.Sprintf("%s, %s, verify %v", k.name, f.name, verify),
						func(t *testing.T) { k.find(t, f, epoll, verify) })
				}
			}
		}
	})
}

// find makes load through a spoiler.
func (k spoilt) find(t *testing.T, f fault, epoll, verify bool) {
	task := contest.Task{Mode: k.mode, Page: new(contest.Page), Size: k.opts.Size}
	opts := k.opts
	opts.Conns, opts.Epoll = spoiltConns, epoll
	if opts.Kind == load.Relay {
		backend, err := load.Listen()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(backend.Close)
		opts.Backend, task.Target = backend, backend.Addr()
	}
	server, err := netserver.Listen(task)
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(server.Close)
	s := &spoiler{server: server.Addr(), conn: spoiltConn, at: k.at, toServer: k.toServer, fault: f}
	if opts.TLS {
		if s.tls, err = contest.TLSServer(); err != nil {
			t.Fatal(err)
		}
	}
	p := dial(t, s.start(t), opts)
	for task.Page.Conns.Load() < spoiltConns { // a fan-out is to all
		runtime.Gosched()
	}
	conn := spoiltConn
	if opts.Kind == load.Relay {
		conn += spoiltConns // of the other side
	}
	_, err = p.Run(load.Slice{Time: enough, Verify: verify})
	isMismatch(t, err, conn, k.at)
}

// isMismatch fails the test unless err says that conn is wrong, at or after a byte.
func isMismatch(t *testing.T, err error, conn int, at int64) {
	t.Helper()
	var m *load.Mismatch
	if !errors.As(err, &m) || !errors.Is(err, load.ErrMismatch) {
		t.Fatalf("Run returned %v, want a Mismatch", err)
	}
	if m.Conn != conn || m.Offset < at {
		t.Errorf("%v, want connection %d, byte %d or later", err, conn, at)
	}
	if !strings.Contains(err.Error(), fmt.Sprintf("connection %d, byte %d", m.Conn, m.Offset)) {
		t.Errorf("the error does not say where: %v", err)
	}
}

func TestDatagramsFindEveryFault(t *testing.T) {
	carriers(t, func(t *testing.T, epoll bool) {
		for _, f := range faults {
			t.Run(f.name, func(t *testing.T) {
				p := dial(t, spoilDatagrams(t, 20, f), load.Options{
					Conns: 1, Size: 512, Depth: 1, Datagrams: true, Epoll: epoll})
				_, err := p.Run(load.Slice{Time: enough})
				isMismatch(t, err, 0, 20*512)
			})
		}
	})
}

// What is uploaded the server compares: that a byte too many or too few was counted
// is the load's to see.
func TestAServerThatCountsMoreThanWasSentIsFound(t *testing.T) {
	addr, page := serve(t, contest.Receive)
	p := dial(t, addr, load.Options{Kind: load.Upload, Conns: 2,
		Received: func() int64 { return page.Received.Load() + 1 }})
	if _, err := p.Run(load.Slice{Time: 20 * time.Millisecond}); !errors.Is(err, load.ErrMismatch) {
		t.Errorf("Run returned %v, want ErrMismatch", err)
	}
}

func TestUploadsOfConnectionsAreNotInStep(t *testing.T) {
	addr, page := serve(t, contest.Receive)
	p := dial(t, addr, load.Options{Kind: load.Upload, Conns: 3, Received: page.Received.Load})
	run(t, p, load.Slice{Time: 20 * time.Millisecond})
	if n := page.Received.Load() % contest.BlockSize; n != (0+1+2)*4096 {
		t.Errorf("%d bytes beyond whole blocks: connections send alike", n)
	}
}

func TestFanOut(t *testing.T) { carriers(t, testFanOut) }

func testFanOut(t *testing.T, epoll bool) {
	for _, c := range []struct{ conns, size int }{{1, 1}, {7, 64}, {500, 1000}, {2, 200_000},
		{3000, 64}} {
		page := new(contest.Page)
		s, err := netserver.Listen(contest.Task{Mode: contest.FanOut, Page: page, Size: c.size})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(s.Close)
		p := dial(t, s.Addr(), load.Options{
			Kind: load.FanOut, Conns: c.conns, Size: c.size, Epoll: epoll})
		for page.Conns.Load() < int64(c.conns) {
			runtime.Gosched()
		}
		for range 2 {
			h := histogram()
			out := run(t, p, load.Slice{Time: 20 * time.Millisecond, Latency: h})
			if out.Messages%int64(c.conns) != 0 || out.Bytes != out.Messages*int64(c.size) {
				t.Errorf("%+v: not one message to each of %d connections", out, c.conns)
			}
			if h.TotalCount() != out.Messages {
				t.Errorf("%d latencies of %d messages", h.TotalCount(), out.Messages)
			}
		}
	}
}

// More comes than was asked for, and all of it is what would be due next.
func TestMoreThanWasAskedForIsFound(t *testing.T) {
	carriers(t, func(t *testing.T, epoll bool) {
		for _, opts := range []load.Options{
			{Kind: load.FanOut, Size: 64},
			{Kind: load.Download, Size: contest.BlockSize, Depth: 2},
		} {
			opts.Conns, opts.Epoll = 1, epoll
			due := opts.Size * max(opts.Depth, 1)
			addr := single(t, func(c net.Conn) {
				c.Read(make([]byte, 64))
				c.Write(contest.Pattern(0, due+1))
				c.Read(make([]byte, 64))
			})
			_, err := dial(t, addr, opts).Run(load.Slice{Verify: true})
			isMismatch(t, err, 0, int64(due))
		}
	})
}

func TestAFanOutOnARingHoldsNoDescriptors(t *testing.T) {
	if err := load.Uring(); err != nil {
		t.Skipf("needs io_uring: %v", err)
	}
	const conns = 200
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	page := new(contest.Page)
	s, err := netserver.Listen(contest.Task{Mode: contest.FanOut, Page: page, Size: 64})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	before := open()
	p := dial(t, s.Addr(), load.Options{Kind: load.FanOut, Conns: conns, Size: 64})
	for page.Conns.Load() < conns {
		runtime.Gosched()
	}
	if n := open() - before; n > conns+conns/2 { // the server's are among them
		t.Errorf("%d descriptors more, with %d connections", n, conns)
	}
	run(t, p, load.Slice{Time: 5 * time.Millisecond})
	p.Close()
	for page.Conns.Load() > 0 { // the connections are gone with the pool
		runtime.Gosched()
	}
}

// Two connections whose streams are equally far, each of which gets what is the
// other's.
func TestBytesOnTheWrongConnectionAreFound(t *testing.T) {
	carriers(t, func(t *testing.T, epoll bool) {
		backend, err := load.Listen()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(backend.Close)
		for _, opts := range []load.Options{
			{Size: 64, Depth: 1},
			{Kind: load.Relay, Size: contest.BlockSize, Backend: backend},
		} {
			target := ""
			if opts.Kind == load.Relay {
				target = backend.Addr()
			}
			opts.Conns, opts.Epoll = 2, epoll
			p := dial(t, crossing(t, target), opts)
			_, err := p.Run(load.Slice{Time: enough, Verify: true})
			var m *load.Mismatch
			if !errors.As(err, &m) || m.Offset != 0 {
				t.Errorf("Run returned %v, want a Mismatch of the first byte", err)
			}
		}
	})
}

// crossing serves two connections: what comes on one goes back on the other or,
// with a target, on where that is connected to there.
func crossing(t *testing.T, target string) (addr string) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		var in, out [2]net.Conn
		for i := range in {
			if in[i], err = l.Accept(); err != nil {
				return
			}
			defer in[i].Close()
			if out[i] = in[i]; target == "" {
				continue
			}
			if out[i], err = net.Dial("tcp4", target); err != nil {
				return
			}
			defer out[i].Close()
		}
		var both sync.WaitGroup
		both.Go(func() { io.Copy(out[1], in[0]) })
		both.Go(func() { io.Copy(out[0], in[1]) })
		both.Wait()
	})
	return l.Addr().String()
}
