package pressure

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// kernelSource takes snapshots with the iterator.
type kernelSource struct {
	kernel *kernel
	pid    int
	level  Level
	tick   time.Duration
	buf    []byte
}

func newKernelSource(k *kernel, o Options) (*kernelSource, error) {
	tick, err := k.tick()
	if err != nil {
		return nil, err
	}
	if err := k.attach(o); err != nil {
		return nil, err
	}
	return &kernelSource{kernel: k, pid: o.PID, level: o.Level, tick: tick}, nil
}

func (s *kernelSource) snapshot() (*Snapshot, error) {
	var err error
	begun := monotonic()
	s.buf, err = readIterator(s.kernel.iterator, s.buf[:0])
	if err != nil {
		return nil, err
	}
	out := &Snapshot{Time: begun, PID: s.pid, Level: LevelSnapshot}
	begin, err := decodeSnapshot(s.buf, s.tick, out)
	if err != nil {
		return nil, err
	}
	if begin.now == 0 && !alive(s.pid) {
		return nil, os.ErrProcessDone
	}
	if s.level != LevelSnapshot {
		out.Counts, _ = s.kernel.tallies()
		addZeroWindows(out, s.buf)
	}
	return out, nil
}

func (s *kernelSource) close() error { return s.kernel.close() }

// hertz lists the tick rates that kernels are built with.
var hertz = []int{100, 250, 300, 1000}

// tick measures the length of a jiffy, the unit in which the kernel keeps its TCP
// durations: it is chosen when the kernel is built and cannot be queried. It takes
// snapshots of this process, which has few descriptors, until enough jiffies have
// passed.
func (k *kernel) tick() (time.Duration, error) {
	iterator, err := attachIterator(k.programs["snap"], os.Getpid())
	if errors.Is(err, errNoFilter) {
		iterator, err = k.attachUnfiltered(k.programs["snap"], os.Getpid())
	}
	if err != nil {
		return 0, err
	}
	defer iterator.Close()
	var first beginning
	ticker := time.NewTicker(200 * time.Microsecond)
	defer ticker.Stop()
	for limit := monotonic() + time.Second; monotonic() < limit; <-ticker.C {
		buf, err := readIterator(iterator, nil)
		if err != nil {
			return 0, err
		}
		now, err := decodeSnapshot(buf, 0, &Snapshot{})
		switch {
		case err != nil:
			return 0, err
		case first.now == 0 || now.jiffies == first.jiffies && now.now < first.now:
			first = now
		case now.jiffies-first.jiffies >= jiffiesEnough:
			return nearestTick(now.now-first.now, now.jiffies-first.jiffies), nil
		}
	}
	return 0, errors.New("the kernel's clock does not tick")
}

// jiffiesEnough is enough to tell 250 from 300 ticks a second.
const jiffiesEnough = 12

// nearestTick returns the length of a jiffy that best explains how many have
// passed.
func nearestTick(elapsed time.Duration, jiffies uint64) time.Duration {
	measured := float64(jiffies) / elapsed.Seconds()
	best := hertz[0]
	for _, hz := range hertz {
		if relative(measured, hz) < relative(measured, best) {
			best = hz
		}
	}
	return time.Second / time.Duration(best)
}

func relative(measured float64, hz int) float64 {
	return max(measured/float64(hz), float64(hz)/measured)
}

// addZeroWindows adds the time of windows that are still closed to the time that a
// peer's window was closed.
func addZeroWindows(s *Snapshot, buf []byte) {
	for i := 0; len(buf) > 0; {
		head, ok := record[recordHead](buf)
		if !ok {
			return
		}
		if bpfRecordKind(head.Kind) == bpfRecordKindRECORD_TCP {
			if r, ok := record[bpfTcpRecord](buf); ok && r.Mark.ZeroSince != 0 {
				s.Conns[i].Edges.ZeroWindowTime += s.Time - time.Duration(r.Mark.ZeroSince)
			}
			i++
		}
		buf = buf[head.Size:]
	}
}

// tallies sums the counts of all CPUs.
func (k *kernel) tallies() (Counts, uint64) {
	counts, lost := Counts{}, uint64(0)
	var perCPU []bpfTally
	for kind := range eventKinds {
		if k.maps.Maps[bpfMapTallies].Lookup(uint32(kind), &perCPU) != nil {
			continue
		}
		for _, t := range perCPU {
			if t.Count > 0 {
				counts[kind] += t.Count
			}
			lost += t.Lost
		}
	}
	return counts, lost
}

// histogram sums the measurements of all CPUs.
func (k *kernel) histogram(h *Histogram) {
	index := uint32(h.Op)
	if h.Kind != HistogramLatency {
		index = latencyOps + uint32(h.Kind) - 1
	}
	if h.Kind >= histogramKinds || h.Kind == HistogramLatency && index >= latencyOps {
		return
	}
	var perCPU []bpfHistogram
	if k.maps.Maps[bpfMapHistograms].Lookup(index, &perCPU) != nil {
		return
	}
	for _, one := range perCPU {
		for i, n := range one.Slots {
			h.Slots[i] += n
		}
	}
}

// latencyOps is the number of opcodes that are distinguished.
const latencyOps = 64

// alive reports whether a process exists and is not a zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	return !strings.HasPrefix(after, "Z") && !strings.HasPrefix(after, "X")
}

// monotonic returns the time of CLOCK_MONOTONIC, which the programs and flow pages
// use too.
func monotonic() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic("pressure: no monotonic clock: " + err.Error())
	}
	return time.Duration(now.Nano())
}

var _ source = (*kernelSource)(nil)
