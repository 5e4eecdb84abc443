package overhead

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
)

// Level is one to be measured.
type Level struct {
	Name   string         // for people
	Level  pressure.Level // 0: no tracer
	Limit  float64        // of the ratio; 0: none is promised
	Sample int            // pressure.Options.SampleLatency
}

// Levels are those that are measured. The first is the control: nothing is attached.
var Levels = []Level{
	{Name: "none, again"},
	{Name: "snapshot+edges", Level: pressure.LevelSnapshot | pressure.LevelEdges, Limit: 1.02},
	{Name: "+ring, 1 of 64", Limit: 1.10, Sample: 64,
		Level: pressure.LevelSnapshot | pressure.LevelEdges | pressure.LevelRing},
	{Name: "+flow", Level: pressure.LevelSnapshot | pressure.LevelEdges | pressure.LevelFlow},
}

// Result is the CPU time of a workload's operation, as a ratio to that without a
// tracer: the median of the rounds and its quartiles.
type Result struct {
	Level    Level  // of the tracer
	Workload string // its name
	Promised bool   // the level's limit holds for the workload

	// Median, Low and High are the ratio's median and quartiles.
	Median, Low, High float64

	Bare   time.Duration // an operation without a tracer, the median
	Rounds int           // how many there were
	Ops    int           // operations in each third of a round
}

// Beyond reports whether r is more than is promised.
func (r Result) Beyond() bool {
	return r.Promised && r.Level.Limit > 0 && r.Median > r.Level.Limit
}

// Measure measures all levels on all workloads, and calls each with every result.
// Each round measures without, with and without a tracer again; the ratio is to the
// mean of the two without. It needs what pressure.LevelFlow needs.
func Measure(ctx context.Context, rounds int, each func(Result)) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, w := range workloads {
		run, end, err := w.start()
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		n := calibrate(run)
		for _, level := range Levels {
			r, err := compare(ctx, level, run, n, rounds)
			if err != nil {
				end()
				return err
			}
			r.Workload, r.Promised = w.name, w.promised
			each(r)
		}
		end()
	}
	return nil
}

// compare measures a level on a workload of n operations. The tracer is suspended in
// between: making one disturbs the machine for longer than a measurement takes.
func compare(ctx context.Context, level Level, run func(int), n, rounds int) (Result, error) {
	suspend, resume, end, err := attach(ctx, level)
	if err != nil {
		return Result{}, err
	}
	var ratios, bare []float64
	errs := []error{suspend()}
	for range rounds {
		before := warmCPU(run, n)
		errs = append(errs, resume())
		with := warmCPU(run, n)
		errs = append(errs, suspend())
		after := warmCPU(run, n)
		ratios = append(ratios, 2*float64(with)/float64(before+after))
		bare = append(bare, float64(before)/float64(n))
	}
	errs = append(errs, end())
	return Result{Level: level, Median: quantile(ratios, 0.5), Low: quantile(ratios, 0.25),
		High: quantile(ratios, 0.75), Bare: time.Duration(quantile(bare, 0.5)),
		Rounds: rounds, Ops: n}, errors.Join(errs...)
}

// attach attaches a tracer of the level to this process, none for the control.
func attach(ctx context.Context, level Level) (suspend, resume, end func() error, err error) {
	if level.Level == 0 {
		nothing := func() error { return nil }
		return nothing, nothing, nothing, nil
	}
	t, err := pressure.Attach(ctx, pressure.Options{Level: level.Level,
		SampleLatency: level.Sample, Duration: -1})
	if err != nil {
		return nil, nil, nil, err
	}
	runtime.GC() // of what attaching needed
	return t.Suspend, t.Resume, t.Close, nil
}

// warmCPU is the CPU time of n operations after as many that do not count: attaching
// keeps the processor busy and detaching lets it sleep, which shows in what follows.
func warmCPU(run func(int), n int) time.Duration {
	run(n)
	return cpuOf(run, n)
}

// span is how long a measurement takes, about.
const span = 25 * time.Millisecond

// calibrate returns how many operations take that long.
func calibrate(run func(int)) int {
	for n := 64; ; n *= 2 {
		if cpuOf(run, n) > span/2 {
			return n
		}
	}
}

func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

// Print writes results as a table.
func Print(w io.Writer, results []Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "workload\ttracer\tCPU an operation\tquartiles\tlimit\t")
	for _, r := range results {
		limit := "-"
		if r.Promised && r.Level.Limit > 0 {
			limit = fmt.Sprintf("%.2f", r.Level.Limit)
		}
		verdict := ""
		if r.Beyond() {
			verdict = "beyond"
		}
		fmt.Fprintf(table, "%s (%v)\t%s\t%.3f\t%.3f to %.3f\t%s\t%s\n", r.Workload, r.Bare,
			r.Level.Name, r.Median, r.Low, r.High, limit, verdict)
	}
	return table.Flush()
}
