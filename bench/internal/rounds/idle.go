package rounds

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/bench/internal/load"
	"github.com/sluice-net/sluice/bench/internal/result"
)

// idle has each server hold idle connections, each of which has echoed one
// message, and measures what memory they take. Garbage is collected before both
// looks. A second look at the same server is of no use: it is exact.
func (r *Runner) idle(w Workload) (rows []result.Row) {
	type server struct{ name, program string }
	done := map[server]bool{}
	for _, c := range r.entered(w) {
		s := server{c.Server, c.Program}
		if done[s] {
			continue
		}
		done[s] = true
		r.say("connecting to " + c.Label)
		row := result.Row{Contestant: c.Key, Label: c.Label}
		l := &lane{contestant: c, workload: w}
		rss, heap, err := l.idleMemory(r, w)
		row.Note = l.note
		l.close()
		if err = errors.Join(err, l.err); err != nil {
			row.Error, row.Missing = err.Error(), errors.Is(err, contest.ErrUnavailable)
		} else {
			row.IdleRSS, row.Messages = &rss, int64(w.Conns)
			if !l.foreign { // whose heap is not Go's
				row.IdleHeap = &heap
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// idleMemory returns the bytes that a connection takes: of resident memory, and
// of Go objects.
func (l *lane) idleMemory(r *Runner, w Workload) (rss, heap float64, err error) {
	none := w
	none.Conns = 0
	if err := l.open(r, none); err != nil {
		return 0, 0, err
	}
	l.foreign = l.process.Foreign()
	before, err := l.process.Footprint()
	if err != nil {
		return 0, 0, err
	}
	l.pool.Close()
	if err := l.dial(r, w); err != nil {
		return 0, 0, err
	}
	if err := l.awaitAccepted(w); err != nil {
		return 0, 0, err
	}
	out, err := l.slice(load.Slice{})
	if err != nil {
		return 0, 0, err
	}
	if out.Messages != int64(w.Conns) {
		return 0, 0, fmt.Errorf("rounds: %d of %d connections answered", out.Messages, w.Conns)
	}
	settle()
	after, err := l.process.Footprint()
	n := float64(w.Conns)
	return float64(after.RSS-before.RSS) / n, float64(after.Heap-before.Heap) / n, err
}

// FilesNeeded is how many descriptors the program that carries w out needs, or a
// server if that is more, with some to spare.
func (r *Runner) FilesNeeded(w Workload) uint64 {
	const spare = 64
	contestants := len(r.entered(w))
	if w.Idle || r.load(w).InTable() { // which keeps none
		return uint64(w.Conns) + spare
	}
	if w.Kind == load.Relay { // both sides of a proxy, each
		contestants *= 2
	}
	return uint64(w.Conns*contestants) + spare
}

// AllowFiles raises the limit of open descriptors to n where it is lower. Child
// processes inherit it.
func AllowFiles(n uint64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Cur >= n {
		return nil
	}
	want := unix.Rlimit{Cur: n, Max: max(limit.Max, n)}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &want); err != nil {
		return fmt.Errorf("needs %d open files, the limit is %d (ulimit -Hn): %w",
			n, limit.Max, err)
	}
	return nil
}
