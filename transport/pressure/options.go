package pressure

import (
	"log/slog"
	"os"
	"time"

	"github.com/cilium/ebpf/btf"
)

// Defaults of Options.
const (
	// DefaultInterval is that of Options.Interval.
	DefaultInterval = 100 * time.Millisecond
	// DefaultBudget is that of Options.BudgetPercent.
	DefaultBudget = 1.0
	// DefaultDuration is that of Options.Duration.
	DefaultDuration = 10 * time.Second
	// DefaultSample is that of Options.SampleLatency.
	DefaultSample = 64
)

// Options says what to trace. The zero value traces this process at the best
// allowed of LevelSnapshot|LevelEdges.
type Options struct {
	// PID is the process as this PID namespace sees it; 0 means this one.
	PID int

	// Level says how closely to look. 0 means LevelDefault.
	Level Level

	// Interval is the time between two snapshots that the Tracer takes by itself
	// for Accounts. 0 means DefaultInterval; negative means none: only calls of
	// Tracer.Snapshot count. It is stretched, to a second at most, where
	// snapshots would cost more than BudgetPercent.
	Interval time.Duration

	// SampleLatency makes LevelRing measure one of so many requests. 0 means
	// DefaultSample; 1 measures all.
	SampleLatency int

	// BudgetPercent is what snapshots may cost of one CPU. 0 means DefaultBudget.
	BudgetPercent float64

	// Duration is after how long LevelFlow, LevelRing and LevelFuncs are detached;
	// what they found remains. 0 means DefaultDuration; negative means never.
	Duration time.Duration

	// QueuedOnly leaves descriptors out of the snapshots in which nothing waits, of
	// use where there are very many.
	QueuedOnly bool

	// KernelTypes is the BTF of the running kernel, for kernels that do not bring
	// it themselves. nil means /sys/kernel/btf/vmlinux.
	KernelTypes *btf.Spec

	// Logger is told what could not be attached and what was detached. nil means
	// nobody is.
	Logger *slog.Logger
}

// filled returns o with its defaults in place.
func (o Options) filled() Options {
	if o.PID == 0 {
		o.PID = os.Getpid()
	}
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	if o.SampleLatency <= 0 {
		o.SampleLatency = DefaultSample
	}
	if o.BudgetPercent <= 0 {
		o.BudgetPercent = DefaultBudget
	}
	if o.Duration == 0 {
		o.Duration = DefaultDuration
	}
	if o.Level&^LevelProcess != 0 {
		o.Level |= LevelSnapshot
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
