package pressure

import (
	"log/slog"
	"os"
	"time"

	"github.com/cilium/ebpf/btf"
)

// The defaults of Options.
const (
	defaultInterval = 100 * time.Millisecond
	defaultBudget   = 1.0 // percent
	defaultDuration = 10 * time.Second
	defaultSample   = 64
)

// Options says what to trace. The zero value traces this process at the best level
// of LevelSnapshot|LevelEdges that is allowed.
type Options struct {
	// PID is the ID of the process in this PID namespace; 0 means this process.
	PID int

	// Level says how closely to look. 0 means LevelDefault.
	Level Level

	// Interval is the time between two snapshots that the Tracer takes by itself
	// for Accounts. 0 means 100 ms; a negative value means none, so that
	// only calls of Tracer.Snapshot count. The Tracer lengthens it, to a second at
	// most, if snapshots would cost more than BudgetPercent.
	Interval time.Duration

	// SampleLatency makes LevelRing measure one in that many requests. 0 means 64;
	// 1 measures all.
	SampleLatency int

	// BudgetPercent is the percentage of one CPU that snapshots may cost. 0 means 1.
	BudgetPercent float64

	// Duration is the time after which LevelFlow, LevelRing and LevelFuncs are
	// detached; their results so far remain. 0 means 10 s; a negative value
	// means never.
	Duration time.Duration

	// QueuedOnly restricts snapshots to descriptors in which something waits, which
	// is useful if there are very many.
	QueuedOnly bool

	// KernelTypes is the BTF of the running kernel, for kernels that do not provide
	// it themselves. nil means /sys/kernel/btf/vmlinux.
	KernelTypes *btf.Spec

	// Logger receives messages about what could not be attached and what was
	// detached. nil discards them.
	Logger *slog.Logger
}

// filled returns o with its defaults filled in.
func (o Options) filled() Options {
	if o.PID == 0 {
		o.PID = os.Getpid()
	}
	if o.Interval == 0 {
		o.Interval = defaultInterval
	}
	if o.SampleLatency <= 0 {
		o.SampleLatency = defaultSample
	}
	if o.BudgetPercent <= 0 {
		o.BudgetPercent = defaultBudget
	}
	if o.Duration == 0 {
		o.Duration = defaultDuration
	}
	if o.Level&^LevelProcess != 0 {
		o.Level |= LevelSnapshot
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
