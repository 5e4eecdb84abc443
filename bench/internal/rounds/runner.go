package rounds

import (
	"errors"
	"fmt"
	"time"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/bench/internal/result"
	"github.com/sluice-net/sluice/bench/internal/stats"
)

// A Contestant takes part. The first of a list is the base.
type Contestant struct {
	Key     string // in results: "net", "net-again"
	Label   string // for people
	Server  string // the contest.Server
	Program string // that has it; empty: this one
}

// roundsMin is how many rounds there are however short the time is.
const roundsMin = 2

// A Runner carries workloads out. Its methods are for one goroutine, which must
// be locked to its thread.
type Runner struct {
	Contestants []Contestant  // the base first
	View        result.View   // what ServerCPU and Sleep amount to
	ServerCPU   int           // that servers stay on; -1: wherever
	Sleep       bool          // the load has no CPU of its own
	EpollLoad   bool          // the load does without io_uring
	Slice       time.Duration // one contestant's turn
	Steady      time.Duration // one at a steady workload; 0: as long as Slice
	Time        time.Duration // of a workload, from its first process to its last round

	// Whole gives each workload as many rounds as are aimed at, however long they take;
	// Time then does not matter.
	Whole bool

	// Pairs are contestants, by their keys, whose CPU time is compared in each round
	// as well: that of the first to that of the second.
	Pairs [][2]string

	// Enters reports whether a server takes part in a workload; nil: all do.
	Enters func(server string, w Workload) bool

	// Progress is told what is being done; nil for nobody.
	Progress func(what string)

	// NoSyscalls is why system calls cannot be counted; nil if they are, or
	// that was not tried yet.
	NoSyscalls error
}

// Run carries w out. What goes wrong with one contestant is in its row, and
// the others go on without it.
func (r *Runner) Run(w Workload) result.Workload {
	out := result.Workload{Name: w.Name, Title: w.Title, View: r.View,
		Conns: w.Conns, Size: w.Size, Depth: w.Depth, Rate: w.Rate, Congestion: w.Congestion}
	if w.Idle {
		out.Rows = r.idle(w)
		return out
	}
	if w.Congestion != "" {
		restore, err := contest.Congest(w.Congestion)
		if err != nil {
			out.Rows = r.Missing(w, err)
			return out
		}
		defer restore()
	}
	end := time.Now().Add(r.Time)
	var lanes []*lane
	for _, c := range r.entered(w) {
		r.say("starting " + c.Label)
		l := &lane{contestant: c, workload: w}
		l.check(l.open(r, w))
		lanes = append(lanes, l)
	}
	if lanes == nil {
		return out
	}
	least := roundsMin
	if r.Whole {
		least, end = aim(w), time.Time{}
	}
	out.Rounds = r.rounds(lanes, r.turn(w), least, end)
	for _, l := range lanes {
		l.check(l.countMallocs())
		r.countSyscalls(l)
		l.close()
	}
	for _, l := range lanes {
		row := l.row(lanes[0])
		if row.Error == "" {
			row.Pairs = r.pairs(l, lanes)
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

// Missing has a row for each contestant of w that says why there is no result.
func (r *Runner) Missing(w Workload, err error) (rows []result.Row) {
	for _, c := range r.entered(w) {
		if w.Idle && c.Key != c.Server && c.Program == "" { // the base, again
			continue
		}
		rows = append(rows, result.Row{Contestant: c.Key, Label: c.Label, Error: err.Error(),
			Missing: true})
	}
	return rows
}

// turn is how long one contestant's turn at w is.
func (r *Runner) turn(w Workload) time.Duration {
	if w.Steady && r.Steady > 0 {
		return r.Steady
	}
	return r.Slice
}

// How many rounds are aimed at: a steady turn is long and tells more.
const (
	roundsAim       = 20
	roundsAimSteady = 7
)

func aim(w Workload) int {
	if w.Steady {
		return roundsAimSteady
	}
	return roundsAim
}

// Wants is the time that w takes for as many rounds as are aimed at.
func (r *Runner) Wants(w Workload) time.Duration {
	if w.Idle {
		return 0
	}
	each := r.turn(w)
	if w.Steady {
		each += each / warmPart
	}
	if w.oneWay() {
		each += r.turn(w) / verifyPart
	}
	return time.Duration(aim(w)*len(r.entered(w))) * each
}

// pairs compares a lane with those that it is to be compared with.
func (r *Runner) pairs(l *lane, lanes []*lane) (out []result.Pair) {
	for _, p := range r.Pairs {
		for _, other := range lanes {
			if p == [2]string{l.contestant.Key, other.contestant.Key} && other.err == nil {
				out = append(out, result.Pair{To: other.contestant.Key,
					Label: other.contestant.Label,
					Ratio: stats.MedianInterval(stats.Ratios(l.cpu, other.cpu))})
			}
		}
	}
	return out
}

// entered is who takes part in w.
func (r *Runner) entered(w Workload) (out []Contestant) {
	for _, c := range r.Contestants {
		if r.Enters == nil || r.Enters(c.Server, w) {
			out = append(out, c)
		}
	}
	return out
}

// rounds has each lane in turn do a slice, until the time is up and there were enough
// rounds. Each round begins with another lane, and every second one goes backwards, so
// that none profits from its place or from who came before it.
func (r *Runner) rounds(lanes []*lane, turn time.Duration, least int, end time.Time) (n int) {
	for ; n < least || time.Now().Before(end); n++ {
		r.say(fmt.Sprintf("round %d", n+1))
		alive := false
		for i := range lanes {
			if n%2 == 1 {
				i = len(lanes) - 1 - i
			}
			l := lanes[(i+n/2)%len(lanes)]
			l.check(l.measure(turn))
			alive = alive || l.err == nil
		}
		if !alive {
			return n
		}
	}
	return n
}

// countSyscalls has the lane do a slice more, whose CPU time does not count:
// counting makes system calls slower.
func (r *Runner) countSyscalls(l *lane) {
	if r.NoSyscalls != nil || l.err != nil {
		return
	}
	r.say("counting system calls of " + l.contestant.Label)
	if err := l.countSyscalls(r.Slice); err != nil {
		var failed *counterError
		if errors.As(err, &failed) {
			r.NoSyscalls = failed.err
			return
		}
		l.check(err)
	}
}

func (r *Runner) say(what string) {
	if r.Progress != nil {
		r.Progress(what)
	}
}

// row makes a result of what the lane did. Only rounds that both the lane and
// the base did have a ratio.
func (l *lane) row(base *lane) result.Row {
	row := result.Row{Contestant: l.contestant.Key, Label: l.contestant.Label, Note: l.note}
	if l.err != nil {
		row.Error, row.Missing = l.err.Error(), errors.Is(l.err, contest.ErrUnavailable)
		return row
	}
	row.Messages = l.messages
	row.PerSecond = stats.Median(l.perSecond)
	row.MBPerSec = row.PerSecond * float64(l.workload.Size) / 1e6
	row.CPUNS, row.CPURounds = stats.Median(l.cpu), l.cpu
	row.ServerBusy, row.LoadBusy = stats.Median(l.serverBusy), stats.Median(l.loadBusy)
	row.Allocs, row.Syscalls, row.Late, row.Lost = l.allocs, l.syscalls, l.late, l.lost
	if h := l.latency; h != nil {
		row.Latency = &result.Latency{
			P50:  float64(h.ValueAtQuantile(50)) / 1e3,
			P99:  float64(h.ValueAtQuantile(99)) / 1e3,
			P999: float64(h.ValueAtQuantile(99.9)) / 1e3}
	}
	if l != base && base.err == nil {
		ratio := stats.MedianInterval(stats.Ratios(l.cpu, base.cpu))
		row.Ratio = &ratio
	}
	return row
}
