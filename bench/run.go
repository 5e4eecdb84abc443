package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/bench/internal/load"
	"github.com/sluice-net/sluice/bench/internal/outside"
	"github.com/sluice-net/sluice/bench/internal/report"
	"github.com/sluice-net/sluice/bench/internal/result"
	"github.com/sluice-net/sluice/bench/internal/rounds"
)

// run does what the command line asks for.
func run(cfg *config) error {
	if cfg.overhead {
		return measureOverhead(cfg)
	}
	workloads, err := cfg.chosen()
	if err != nil {
		return err
	}
	var old *result.File
	if cfg.compare != "" { // before two minutes are spent
		if old, err = result.Read(cfg.compare); err != nil {
			return err
		}
	}
	m := newMeasurement(cfg)
	if cfg.peers {
		remove := m.buildPeers()
		defer remove()
	}
	if c := cfg.serversInC(workloads); c != nil {
		remove, _ := outside.BuildC(c...) // if that fails, each row of C says why
		defer remove()
	}
	file, err := m.measure(workloads)
	if err != nil {
		return err
	}
	return errors.Join(publish(cfg, file, old), judge(cfg, file))
}

// publish prints and writes what was found.
func publish(cfg *config, file, old *result.File) error {
	table := io.Writer(os.Stdout)
	if cfg.json == "-" {
		table = os.Stderr
	}
	report.Text(table, file)
	var comparison *result.Comparison
	if old != nil {
		c := result.Compare(old, file)
		comparison = &c
		report.TextComparison(table, c)
	}
	var errs []error
	if cfg.output != "" {
		if err := writeReport(cfg.output, file, comparison); err != nil {
			errs = append(errs, err)
		} else {
			fmt.Fprintf(table, "\nReport with charts: %s\n", cfg.output)
		}
	}
	if cfg.json != "" {
		errs = append(errs, file.Write(cfg.json))
	}
	return errors.Join(errs...)
}

func writeReport(path string, file *result.File, c *result.Comparison) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(report.HTML(out, file, c), out.Close())
}

// judge returns an error if a contestant failed. One that this machine cannot
// run has failed only if the command line named it, or if none is left; another
// build need not know a workload.
func judge(cfg *config, file *result.File) error {
	failures := file.Failures()
	moved := false
	for _, w := range file.Workloads {
		for _, r := range w.Rows {
			moved = moved || r.Messages > 0
			if r.Missing && cfg.named && !cfg.isOther(r.Contestant) {
				failures = append(failures, fmt.Sprintf("%s, %s: %s", w.Name, r.Label, r.Error))
			}
		}
	}
	if !moved {
		failures = append(failures, "no contestant moved a message")
	}
	if failures == nil {
		return nil
	}
	return errors.New("there were failures:\n  " + strings.Join(failures, "\n  "))
}

// A measurement is a run under way.
type measurement struct {
	cfg   *config
	cpus  []int // that we may run on
	notes []string
	peers string // the program that has them; empty: there are none
}

func newMeasurement(cfg *config) *measurement { return &measurement{cfg: cfg} }

func (m *measurement) note(format string, args ...any) {
	m.notes = append(m.notes, fmt.Sprintf(format, args...))
}

func (m *measurement) measure(workloads []rounds.Workload) (*result.File, error) {
	began := time.Now()
	network := "a network namespace of its own"
	if !m.cfg.isolate {
		network = "the machine's loopback device"
	} else if err := contest.Isolate(); err != nil {
		network = "the machine's loopback device"
		m.note("No network namespace of our own: %v.", err)
	}
	if err := m.findCPUs(); err != nil {
		return nil, err
	}
	file := &result.File{
		Schema:   result.Schema,
		Date:     began.UTC().Truncate(time.Second),
		Command:  commandLine(os.Args[1:]),
		Revision: result.ThisRevision(),
		Machine:  result.ThisMachine(len(m.cpus), network),
		SliceMS:  float64(m.cfg.slice) / float64(time.Millisecond),
	}
	m.noteOthers()
	m.noteLoad()
	total := 0
	for _, view := range m.cfg.views {
		total += len(m.cfg.seen(view, workloads))
	}
	progress := newProgress(os.Stderr, total)
	for _, view := range m.cfg.views {
		file.Workloads = append(file.Workloads,
			m.view(view, m.cfg.seen(view, workloads), progress)...)
	}
	progress.end()
	file.Notes = m.notes
	return file, nil
}

// serversInC are those that take part in any of the workloads.
func (c *config) serversInC(workloads []rounds.Workload) (out []outside.C) {
	for _, s := range []outside.C{outside.CEpoll, outside.CUring} {
		if slices.Contains(c.engines, s.Name()) &&
			slices.ContainsFunc(workloads, func(w rounds.Workload) bool {
				return c.enters(s.Name(), w)
			}) {
			out = append(out, s)
		}
	}
	return out
}

// seen are the workloads that are measured in a view.
func (c *config) seen(view result.View, workloads []rounds.Workload) []rounds.Workload {
	if !c.partly || view != result.Unpinned {
		return workloads
	}
	var out []rounds.Workload
	for _, w := range workloads {
		if w.Unpinned {
			out = append(out, w)
		}
	}
	return out
}

// view carries workloads out in a view.
func (m *measurement) view(view result.View, workloads []rounds.Workload,
	p *progress) (out []result.Workload) {
	runner := m.runner(view)
	if runner == nil {
		return nil
	}
	runner.Whole = m.cfg.all && m.cfg.time == 0 && !m.cfg.smoke
	end := time.Now().Add(m.cfg.time)
	for i, w := range workloads {
		runner.Time = share(time.Until(end), runner.Wants, workloads[i:])
		out = append(out, m.one(runner, w, p))
	}
	if runner.NoSyscalls != nil {
		m.note("No system calls for a message: %v.", runner.NoSyscalls)
	}
	return out
}

// busyLoad is the load average from which on other programs disturb.
const busyLoad = 1

// noteOthers notes that the machine has something else to do.
func (m *measurement) noteOthers() {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return
	}
	var load float64
	if _, err := fmt.Sscan(string(text), &load); err == nil && load >= busyLoad {
		m.note("Other programs were running (load average %.1f): expect wide intervals.", load)
	}
}

// noteLoad notes that the load is dearer than it could be.
func (m *measurement) noteLoad() {
	if m.cfg.epoll {
		m.note("The load does without io_uring (-epoll-load).")
	} else if err := load.Uring(); err != nil {
		m.note("The load does without io_uring: %v.", err)
	}
}

// commandLine is how to run the benchmark with args again, in a shell.
func commandLine(args []string) string {
	line := "go run ./bench"
	for _, arg := range args {
		if arg == "" || strings.ContainsAny(arg, " \t\n\"'\\$`|&;<>()[]{}*?!#~^") {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		line += " " + arg
	}
	return line
}

// findCPUs notes the CPUs that we may run on.
func (m *measurement) findCPUs() error {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return os.NewSyscallError("sched_getaffinity", err)
	}
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			m.cpus = append(m.cpus, cpu)
		}
	}
	return nil
}

// runner returns what carries workloads out in a view, nil if that view is not
// to be had and the other one is asked for as well.
func (m *measurement) runner(view result.View) *rounds.Runner {
	r := &rounds.Runner{Contestants: m.contestants(), View: view, ServerCPU: -1,
		EpollLoad: m.cfg.epoll, Enters: m.cfg.enters, Slice: m.cfg.slice,
		Steady: m.cfg.steady}
	r.Pairs = pairs(r.Contestants)
	if view == result.Pinned && len(m.cpus) < 2 {
		m.note("There is one CPU: server and load share it, nothing can be pinned.")
		if len(m.cfg.views) > 1 {
			return nil
		}
		r.View = result.Unpinned
	}
	if r.View == result.Pinned {
		r.ServerCPU = m.cpus[0]
		err := m.pinLoad(m.cpus[1:2])
		if err == nil {
			m.note("Pinned: the server on CPU %d with GOMAXPROCS=1, the load on CPU %d, where "+
				"it spins. For the other view: -view unpinned, or both.", m.cpus[0], m.cpus[1])
			return r
		}
		m.note("The load cannot be pinned: %v.", err)
		r.View, r.ServerCPU = result.Unpinned, -1
	}
	r.Sleep = true
	m.pinLoad(m.cpus)
	m.note("Unpinned: the scheduler places server and load; the server has GOMAXPROCS=%d, "+
		"the load sleeps when it has nothing to do.", len(m.cpus))
	return r
}

// pinLoad has this thread, which makes the load, run on the given CPUs only.
func (m *measurement) pinLoad(cpus []int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	return os.NewSyscallError("sched_setaffinity", unix.SchedSetaffinity(0, &set))
}

// share returns the first workload's part of the time that is left, of which each gets
// as much as it wants in comparison with the others.
func share(left time.Duration, wants func(rounds.Workload) time.Duration,
	workloads []rounds.Workload) time.Duration {
	sum := time.Duration(0)
	for _, w := range workloads {
		sum += wants(w)
	}
	if sum == 0 {
		return 0
	}
	return time.Duration(float64(max(left, 0)) * float64(wants(workloads[0])) / float64(sum))
}

// one carries one workload out.
func (m *measurement) one(r *rounds.Runner, w rounds.Workload, p *progress) result.Workload {
	p.next(w.Title, r.View)
	r.Progress = p.show
	if err := rounds.AllowFiles(r.FilesNeeded(w)); err != nil {
		out := result.Workload{Name: w.Name, Title: w.Title, View: r.View, Conns: w.Conns,
			Size: w.Size, Depth: w.Depth, Rate: w.Rate, Congestion: w.Congestion}
		out.Rows = r.Missing(w, err)
		return out
	}
	return r.Run(w)
}
