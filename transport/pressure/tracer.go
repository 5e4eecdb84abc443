package pressure

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf/ringbuf"
)

// ErrClosed is returned by the methods of a Tracer after Close.
var ErrClosed = errors.New("pressure: tracer closed")

// A Tracer traces one process. Its methods may be called from any goroutine.
type Tracer struct {
	options Options
	level   Level
	why     error // why it is LevelProcess although nobody asked for that
	kernel  *kernel
	reader  *ringbuf.Reader
	ended   chan struct{}
	work    sync.WaitGroup
	unwatch func() bool

	mu         sync.Mutex // guards what follows, and the kernel's table
	source     source
	flows      flows
	accountant Accountant
	closed     bool
	suspended  bool

	iterating sync.Mutex
	closing   sync.Once
	closeErr  error
}

// A source takes snapshots, without what the loops publish.
type source interface {
	snapshot() (*Snapshot, error)
	close() error
}

// Attach starts tracing. Whatever this kernel lacks is left out; Support lists it.
// Attach fails with *UnsupportedError if a level other than LevelDefault and
// LevelProcess is requested and eBPF does not work at all, and with
// os.ErrProcessDone if there is no such process. When ctx ends, the Tracer is
// closed. Attach takes some tenths of a second, and the Tracer 17 MiB of memory.
func Attach(ctx context.Context, o Options) (*Tracer, error) {
	asked := o.Level
	if asked == LevelDefault {
		o.Level = LevelSnapshot | LevelEdges
	}
	o = o.filled()
	if !alive(o.PID) {
		return nil, fmt.Errorf("pressure: process %d: %w", o.PID, os.ErrProcessDone)
	}
	t := &Tracer{options: o, level: o.Level, ended: make(chan struct{})}
	t.flows.pid = o.PID
	if err := t.open(asked); err != nil {
		return nil, fmt.Errorf("pressure: %w", err)
	}
	t.begin()
	unwatch := context.AfterFunc(ctx, func() { t.Close() })
	t.mu.Lock()
	t.unwatch = unwatch
	t.mu.Unlock()
	return t, nil
}

// open creates the source, and falls back if that is allowed.
func (t *Tracer) open(asked Level) error {
	if t.level == LevelProcess {
		return t.openProcess()
	}
	err := t.openKernel()
	var unsupported *UnsupportedError
	if asked == LevelDefault && errors.As(err, &unsupported) {
		t.level, t.why = LevelProcess, unsupported
		t.options.Logger.Info("tracing without eBPF", "why", unsupported)
		return t.openProcess()
	}
	return err
}

func (t *Tracer) openProcess() (err error) {
	t.source, err = newProcessSource(t.options.PID)
	return err
}

func (t *Tracer) openKernel() error {
	k, err := loadKernel(t.options)
	if err != nil {
		return err
	}
	t.source, err = newKernelSource(k, t.options)
	if err == nil && t.level != LevelSnapshot {
		t.reader, err = ringbuf.NewReader(k.maps.Maps[bpfMapEvents])
	}
	if err != nil {
		return errors.Join(err, k.close())
	}
	t.kernel = k
	return nil
}

// begin starts the background work. The first snapshot is taken before Attach
// returns: it marks the sockets whose events are wanted.
func (t *Tracer) begin() {
	if t.level != LevelProcess {
		if _, err := t.Snapshot(); err != nil {
			t.options.Logger.Warn("no first snapshot", "err", err)
		}
	}
	if t.options.Interval > 0 {
		t.work.Go(t.sample)
	}
	if t.kernel != nil && t.level&boxed != 0 && t.options.Duration > 0 {
		t.work.Go(t.expire)
	}
}

// Support returns the current state of each probe.
func (t *Tracer) Support() Support {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Support{Level: t.level, Kernel: release(), Err: t.why}
	if t.kernel != nil {
		s.Probes = slices.Clone(t.kernel.table)
	} else {
		s.Probes = withoutKernel(t.why)
	}
	return s
}

// Snapshot takes a snapshot now. It counts for Accounts as well. Errors: ErrClosed
// after Close; os.ErrProcessDone once the process is gone.
func (t *Tracer) Snapshot() (*Snapshot, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	s, err := t.source.snapshot()
	if err != nil {
		return nil, err
	}
	t.flows.join(s)
	s.Took = monotonic() - s.Time
	t.accountant.Add(s)
	return s, nil
}

// Events yields events as they arrive, blocking between them, until the Tracer is
// closed or the caller breaks out of the loop. A second call waits until the first
// has ended. Events are in order, except that those of different CPUs may be out of
// order by as much time as the kernel took to store them. They may arrive up to a
// tenth of a second late. An error, if any, is the last thing yielded. The rate is
// limited by kind; Counts are exact nevertheless. Below LevelEdges there are no
// events.
func (t *Tracer) Events() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		t.iterating.Lock()
		defer t.iterating.Unlock()
		if t.reader == nil {
			return
		}
		var record ringbuf.Record
		for t.next(&record) {
			if len(record.RawSample) == 0 {
				continue
			}
			event, err := decodeEvent(record.RawSample)
			if !yield(event, err) || err != nil {
				return
			}
		}
	}
}

// next waits for a record, which is empty if the wait timed out. It returns false
// when the Tracer is closed. To keep their cost low, the programs do not wake the
// reader, which instead polls every tenth of a second.
func (t *Tracer) next(record *ringbuf.Record) bool {
	t.reader.SetDeadline(time.Now().Add(100 * time.Millisecond))
	record.RawSample = record.RawSample[:0]
	err := t.reader.ReadInto(record)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	return true
}

// Lost returns how many events were left out, because of the rate limits or because
// they were not taken in time.
func (t *Tracer) Lost() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kernel == nil || t.closed {
		return 0
	}
	_, lost := t.kernel.tallies()
	return lost
}

// Accounts yields an account for each connection that was seen in at least two
// snapshots since the last call, in the order of descriptors, and starts afresh.
func (t *Tracer) Accounts() iter.Seq[Account] {
	return func(yield func(Account) bool) {
		t.mu.Lock()
		accounts := t.accountant.Take()
		t.mu.Unlock()
		for _, a := range accounts {
			if !yield(a) {
				return
			}
		}
	}
}

// Histogram returns what has been counted since Attach. op is the io_uring opcode
// for HistogramLatency and 0 for the others. After Close the histogram is empty.
func (t *Tracer) Histogram(kind HistogramKind, op uint8) Histogram {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := Histogram{Kind: kind, Op: op}
	if t.kernel != nil && !t.closed {
		t.kernel.histogram(&h)
	}
	return h
}

// Close detaches everything and waits until that is done. It is idempotent.
func (t *Tracer) Close() error {
	t.closing.Do(func() { t.closeErr = t.end() })
	return t.closeErr
}

func (t *Tracer) end() error {
	close(t.ended)
	t.mu.Lock()
	t.closed = true
	unwatch := t.unwatch
	t.mu.Unlock()
	if unwatch != nil {
		unwatch()
	}
	t.work.Wait()
	var errs []error
	if t.reader != nil {
		errs = append(errs, t.reader.Close())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flows.close()
	return errors.Join(append(errs, t.source.close())...)
}

// slowest is the longest interval to which the budget may lengthen
// Options.Interval.
const slowest = time.Second

// sample takes a snapshot every Options.Interval, or less often if that costs more
// than the budget.
func (t *Tracer) sample() {
	timer := time.NewTimer(t.options.Interval)
	defer timer.Stop()
	for {
		select {
		case <-t.ended:
			return
		case <-timer.C:
		}
		if t.isSuspended() {
			timer.Reset(t.options.Interval)
			continue
		}
		s, err := t.Snapshot()
		if errors.Is(err, ErrClosed) || errors.Is(err, os.ErrProcessDone) {
			return
		}
		interval := t.options.Interval
		if err != nil {
			t.options.Logger.Warn("no snapshot", "err", err)
		} else {
			interval = stretched(interval, s.Took, t.options.BudgetPercent)
		}
		timer.Reset(interval)
	}
}

// stretched returns the interval at which snapshots that take so long keep to the
// budget.
func stretched(interval, took time.Duration, percent float64) time.Duration {
	needed := time.Duration(float64(took) * 100 / percent)
	return max(interval, min(needed, max(slowest, interval)))
}

// expire detaches, after Options.Duration, the programs that cost every process of
// the host something.
func (t *Tracer) expire() {
	timer := time.NewTimer(t.options.Duration)
	defer timer.Stop()
	select {
	case <-t.ended:
		return
	case <-timer.C:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kernel.expire()
	t.options.Logger.Info("detached", "levels", (t.level & boxed).String(),
		"after", t.options.Duration)
}
