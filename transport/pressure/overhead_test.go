package pressure

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/sluice-net/sluice/uring"
	"golang.org/x/sys/unix"
)

// BenchmarkOverhead measures what tracing costs the traced: CPU time of the thread
// for each operation, attached and detached in turn, so that what else the machine
// does falls on both. It reports the median of the ratios and their quartiles.
//
//	go test ./transport/pressure -run '^$' -bench Overhead -benchtime 1x
//
// With SLUICE_PRESSURE_GATE=1 it fails where a ratio is beyond what is promised.
func BenchmarkOverhead(b *testing.B) {
	if s := probeOnce(); s.Err != nil {
		b.Skipf("needs %v", s.Err)
	}
	gated := os.Getenv("SLUICE_PRESSURE_GATE") != ""
	for _, level := range []struct {
		level  Level
		sample int
		limit  float64
	}{
		{LevelProcess, 0, 0}, // the control: nothing is ever attached
		{LevelSnapshot | LevelEdges, 0, 1.02},
		{LevelSnapshot | LevelEdges | LevelRing, DefaultSample, 1.10},
		{LevelSnapshot | LevelEdges | LevelFlow, 0, 0},
	} {
		for _, work := range workloads {
			b.Run(level.level.String()+"/"+work.name, func(b *testing.B) {
				o := Options{Level: level.level, SampleLatency: level.sample, Duration: -1}
				ratios := compare(b, o, work)
				median := quantile(ratios, 0.5)
				b.ReportMetric(median, "ratio")
				b.ReportMetric(quantile(ratios, 0.25), "q1")
				b.ReportMetric(quantile(ratios, 0.75), "q3")
				b.ReportMetric(0, "ns/op")
				if gated && work.gated && level.limit != 0 && median > level.limit {
					b.Errorf("ratio %.3f, promised %.2f", median, level.limit)
				}
			})
		}
	}
}

// A workload returns a function that does n operations.
type workload struct {
	name  string
	gated bool
	start func(b *testing.B) func(n int)
}

// The promise is about operations on sockets; of a request that does nothing,
// tracing is a large part.
var workloads = []workload{
	{"write+read", true, startWriteRead},
	{"ring-send+recv", true, startRing},
	{"nops", false, startNops},
}

const (
	overheadRounds = 41
	overheadSpan   = 25 * time.Millisecond
)

// compare returns the ratios of CPU time attached to detached, round by round. In
// each round it is measured detached, attached, detached; the ratio is to the mean
// of the two detached ones. What is compared are the programs: snapshots are taken
// by another thread.
func compare(b *testing.B, o Options, work workload) []float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	run := work.start(b)
	n := calibrate(run)
	o.Interval = -1
	tracer, err := Attach(context.Background(), o)
	if err != nil {
		b.Fatal(err)
	}
	defer tracer.Close()
	var ratios []float64
	for range overheadRounds {
		detachAll(tracer.kernel)
		before := cpuOf(run, n)
		attachAll(tracer)
		attached := cpuOf(run, n)
		detachAll(tracer.kernel)
		after := cpuOf(run, n)
		ratios = append(ratios, 2*float64(attached)/float64(before+after))
	}
	return ratios
}

// detachAll leaves all programs loaded and none attached; attachAll undoes it.
func detachAll(k *kernel) {
	if k == nil {
		return
	}
	for i := range k.table {
		state := &k.table[i]
		if l := k.links[state.Name]; l != nil {
			l.Close()
			delete(k.links, state.Name)
			state.Status = ProbeAvailable
		}
	}
}

func attachAll(t *Tracer) {
	if t.kernel == nil {
		return
	}
	for i := range t.kernel.table {
		if state := &t.kernel.table[i]; state.Status == ProbeAvailable {
			t.kernel.attachProbe(state, t.options)
		}
	}
}

// calibrate returns how many operations take overheadSpan.
func calibrate(run func(int)) int {
	for n := 64; ; n *= 2 {
		if d := cpuOf(run, n); d > overheadSpan/2 {
			return n
		}
	}
}

func cpuOf(run func(int), n int) time.Duration {
	begun := threadCPU()
	run(n)
	return threadCPU() - begun
}

func threadCPU() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		panic(err)
	}
	return time.Duration(now.Nano())
}

func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

// socketPair returns the descriptors of a TCP connection of its own.
func socketPair(b *testing.B) (int, int) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	a, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		b.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	number, _ := strconv.Atoi(port)
	to := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: number}
	if err := unix.Connect(a, to); err != nil {
		b.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		b.Fatal(err)
	}
	file, err := accepted.(*net.TCPConn).File()
	if err != nil {
		b.Fatal(err)
	}
	accepted.Close()
	b.Cleanup(func() {
		unix.Close(a)
		file.Close()
	})
	return a, int(file.Fd())
}

const messageSize = 512

func startWriteRead(b *testing.B) func(int) {
	a, z := socketPair(b)
	buf := make([]byte, messageSize)
	return func(n int) {
		for range n {
			_, err := unix.Write(a, buf)
			must(err)
			_, err = unix.Read(z, buf)
			must(err)
		}
	}
}

func startRing(b *testing.B) func(int) {
	a, z := socketPair(b)
	ring := benchRing(b)
	buf := make([]byte, messageSize)
	return func(n int) {
		for range n {
			ring.SQE().PrepSend(a, buf, 0)
			ring.SQE().PrepRecv(z, buf, 0)
			submit(ring, 2)
		}
	}
}

func startNops(b *testing.B) func(int) {
	ring := benchRing(b)
	return func(n int) {
		for range n {
			for range 8 {
				ring.SQE().PrepNop()
			}
			submit(ring, 8)
		}
	}
}

func benchRing(b *testing.B) *uring.Ring {
	ring, err := uring.New(16, nil)
	if err != nil {
		b.Skip(fmt.Sprintf("needs io_uring: %v", err))
	}
	b.Cleanup(func() { ring.Close() })
	return ring
}

func submit(ring *uring.Ring, n uint32) {
	for {
		_, err := ring.SubmitAndWait(n, -1)
		must(err)
		if ring.Ready() >= int(n) {
			ring.Advance(int(n))
			return
		}
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
