package pressure

import (
	"context"
	"errors"
	"iter"
)

// ErrClosed is returned by the methods of a Tracer after Close.
var ErrClosed = errors.New("pressure: tracer closed")

// A Tracer traces one process. Its methods may be called from any goroutine.
type Tracer struct {
}

// Attach begins to trace. What is absent from this kernel is left out; Support
// says what. It fails with *ErrUnsupported where a level other than LevelDefault
// and LevelProcess is asked for and eBPF does not work at all, and with
// os.ErrProcessDone where there is no such process. When ctx ends, the Tracer is
// closed.
func Attach(ctx context.Context, o Options) (*Tracer, error) { return nil, errors.ErrUnsupported }

// Support returns the state of each probe now.
func (t *Tracer) Support() Support { return Support{} }

// Snapshot takes one now. It counts for Accounts as well. ErrClosed after Close;
// os.ErrProcessDone once the process is gone.
func (t *Tracer) Snapshot() (*Snapshot, error) { return nil, ErrClosed }

// Events yields events as they come, blocking between them, until the Tracer is
// closed or the caller breaks out. Only one call may be iterating at a time.
// They are in order but for those of different CPUs, which may be apart by as
// much as the kernel took to store them. An error, if any, is the last thing
// yielded. The rate is limited by kind; Counts are exact nevertheless.
func (t *Tracer) Events() iter.Seq2[Event, error] { return func(func(Event, error) bool) {} }

// Lost returns how many events were left out: by the limits of rate, or because
// nobody took them in time.
func (t *Tracer) Lost() uint64 { return 0 }

// Accounts yields an account for each connection that was seen in at least two
// snapshots since the last call, in the order of descriptors, and begins anew.
func (t *Tracer) Accounts() iter.Seq[Account] { return func(func(Account) bool) {} }

// Histogram returns what was counted since Attach. op is the io_uring opcode for
// HistogramLatency and 0 for the others.
func (t *Tracer) Histogram(kind HistogramKind, op uint8) Histogram { return Histogram{} }

// Close detaches everything and waits until it is. It is idempotent.
func (t *Tracer) Close() error { return nil }

// Probe finds out what would work, by loading each program once and attaching
// none, and what is missing where something would not.
func Probe() Support { return Support{} }

// Accountant adds up accounts from snapshots, live or recorded. It is not safe
// for concurrent use. The zero value is ready.
type Accountant struct {
}

// Add takes the next snapshot, later than the ones before.
func (a *Accountant) Add(s *Snapshot) {}

// Take returns the accounts of all connections that were in at least two
// snapshots since the last call, in the order of descriptors, and begins anew.
func (a *Accountant) Take() []Account { return nil }

// Integrate returns the accounts of a recording's snapshots.
func Integrate(snapshots []*Snapshot) []Account { return nil }

// Diagnose applies all rules and returns what they find, the most severe first.
// Nothing is found where nothing is wrong.
func Diagnose(e Evidence) []Finding { return nil }
