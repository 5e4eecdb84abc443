package flowpage_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
)

// BenchmarkFlowPage is what a flow page adds to the CPU time of a loop for an echoed
// message of 64 bytes: the median of the differences within each round, and where 95
// in 100 medians of such rounds would lie. "A/A" is the same of two loops without a
// page: the error of the method. The other ends are written and read by the loop's own
// thread, so that nothing depends on when the kernel wakes whom. An iteration is a round
// in which each loop echoes a thousand messages:
//
//	go test ./loop/tests/flowpage -run '^$' -bench FlowPage -benchtime 1000x
func BenchmarkFlowPage(b *testing.B) {
	for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
		for _, conns := range []int{1, 50} {
			b.Run(fmt.Sprintf("%v/%d", engine, conns), func(b *testing.B) {
				benchmarkFlowPage(b, engine, conns)
			})
		}
	}
}

func benchmarkFlowPage(b *testing.B, engine loop.Engine, conns int) {
	off := newEchoed(b, engine, conns, false)
	on := newEchoed(b, engine, conns, true)
	again := newEchoed(b, engine, conns, false)
	contestants := []*echoed{off, on, again}
	for _, c := range contestants {
		c.slice(b)
	}
	var costs, added, errors []float64
	for round := 0; b.Loop(); round++ {
		cost := map[*echoed]float64{}
		for i := range contestants { // each of them is the first in its turn
			c := contestants[(i+round)%len(contestants)]
			cost[c] = c.slice(b)
		}
		costs = append(costs, cost[off])
		added = append(added, cost[on]-(cost[off]+cost[again])/2)
		errors = append(errors, cost[again]-cost[off])
	}
	median, low, high := spread(added)
	b.ReportMetric(median, "added-ns/message")
	b.ReportMetric(low, "added-low")
	b.ReportMetric(high, "added-high")
	median, low, high = spread(errors)
	b.ReportMetric(median, "A/A-ns")
	b.ReportMetric(low, "A/A-low")
	b.ReportMetric(high, "A/A-high")
	cost, _, _ := spread(costs)
	b.ReportMetric(cost, "cpu-ns/message")
	b.ReportMetric(0, "ns/op")
}

// spread returns the median and its 95 % interval, by the ranks of a binomial
// distribution.
func spread(values []float64) (median, low, high float64) {
	slices.Sort(values)
	n := len(values)
	margin := int(math.Ceil(0.98 * math.Sqrt(float64(n))))
	return values[n/2], values[max(n/2-margin, 0)], values[min(n/2+margin, n-1)]
}

// echoed is a loop that echoes, and the other ends of its connections.
type echoed struct {
	loop *loop.Loop
	fds  []int
	data [64]byte
}

// messagesOfASlice is how many messages a slice has.
const messagesOfASlice = 1000

func newEchoed(b *testing.B, engine loop.Engine, conns int, page bool) *echoed {
	e := &echoed{loop: loopWith(b, engine, loop.Options{FlowPage: page})}
	listener, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer syscall.Close(listener)
	if err := syscall.Listen(listener, conns); err != nil { // binds to any port
		b.Fatal(err)
	}
	addr, err := syscall.Getsockname(listener)
	if err != nil {
		b.Fatal(err)
	}
	for range conns {
		e.fds = append(e.fds, e.connect(b, listener, addr))
	}
	b.Cleanup(func() {
		for _, fd := range e.fds {
			syscall.Close(fd)
		}
	})
	return e
}

// connect makes a connection, whose other end the loop gets.
func (e *echoed) connect(b *testing.B, listener int, addr syscall.Sockaddr) int {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		err = syscall.Connect(fd, addr)
	}
	if err != nil {
		b.Fatal(err)
	}
	accepted, _, err := syscall.Accept4(listener, syscall.SOCK_CLOEXEC)
	if err != nil {
		b.Fatal(err)
	}
	err = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	if err != nil {
		b.Fatal(err)
	}
	opts := &loop.ConnectionOptions{Sock: os.NewFile(uintptr(accepted), "accepted")}
	_, err = e.loop.CreateConnection(context.Background(), &rig.Mirror{}, "", opts)
	if err != nil {
		b.Fatal(err)
	}
	return fd
}

// slice has all connections echo, and returns the thread's CPU time for a message in
// nanoseconds.
func (e *echoed) slice(b *testing.B) float64 {
	before := e.cpu(b)
	sweeps := messagesOfASlice / len(e.fds)
	done := make(chan struct{})
	var sweep func()
	sweep = func() {
		if sweeps--; sweeps < 0 {
			close(done)
			return
		}
		for _, fd := range e.fds {
			if _, err := syscall.Write(fd, e.data[:]); err != nil {
				b.Error(err)
			}
		}
		e.await(b, 0, sweep)
	}
	n := sweeps * len(e.fds)
	e.loop.CallSoonThreadsafe(sweep)
	<-done
	return (e.cpu(b) - before) / float64(n)
}

// await reads what was echoed, from the connections from i on, and calls then when all
// of it was there.
func (e *echoed) await(b *testing.B, i int, then func()) {
	e.loop.CallSoon(func() {
		for ; i < len(e.fds); i++ {
			n, _, err := syscall.Recvfrom(e.fds[i], e.data[:], syscall.MSG_DONTWAIT)
			if err == syscall.EAGAIN {
				e.await(b, i, then)
				return
			}
			if err != nil || n != len(e.data) {
				b.Error(n, err)
			}
		}
		then()
	})
}

// cpu is the CPU time of the loop's thread in nanoseconds.
func (e *echoed) cpu(b *testing.B) float64 {
	var t unix.Timespec
	looptest.Do(e.loop, func() {
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
			b.Error(err)
		}
	})
	return float64(t.Nano())
}
