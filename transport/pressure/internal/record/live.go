package record

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
)

// A Source is what is recorded: a *pressure.Tracer.
type Source interface {
	// The methods are the tracer's.
	Snapshot() (*pressure.Snapshot, error)
	Accounts() iter.Seq[pressure.Account]
	Events() iter.Seq2[pressure.Event, error]
	Lost() uint64
	Close() error
}

// eventsMax bounds the events of a recording; what is more is counted as lost.
const eventsMax = 200_000

// Run adds moments to r, one at each tick, until ctx ends, ticks is closed or the
// process is gone; the last moment is taken when it ends. It closes source, which
// is what ends the iteration of its events.
func (r *Recording) Run(ctx context.Context, source Source, ticks <-chan time.Time) error {
	var wg sync.WaitGroup
	wg.Go(func() { r.takeEvents(source) })
	err := r.takeMoments(ctx, source, ticks)
	lost := source.Lost()
	closeErr := source.Close()
	wg.Wait()
	r.Lost += lost
	slices.SortStableFunc(r.Events, func(a, b pressure.Event) int {
		return cmp.Compare(a.Time, b.Time)
	})
	ended := errors.Is(err, os.ErrProcessDone) || errors.Is(err, pressure.ErrClosed)
	if ended && len(r.Moments) > 0 {
		err = nil
	}
	return errors.Join(err, closeErr)
}

func (r *Recording) takeMoments(ctx context.Context, source Source,
	ticks <-chan time.Time) error {
	for {
		if err := r.takeMoment(source); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return r.takeMoment(source)
		case _, ok := <-ticks:
			if !ok {
				return r.takeMoment(source)
			}
		}
	}
}

func (r *Recording) takeMoment(source Source) error {
	s, err := source.Snapshot()
	if err != nil {
		return err
	}
	m := Moment{Snapshot: s}
	for a := range source.Accounts() {
		m.Accounts = append(m.Accounts, a)
	}
	r.Moments = append(r.Moments, m)
	return nil
}

// takeEvents runs until source is closed.
func (r *Recording) takeEvents(source Source) {
	for e, err := range source.Events() {
		switch {
		case err != nil:
			return
		case len(r.Events) >= eventsMax:
			r.Lost++
		default:
			r.Events = append(r.Events, e)
		}
	}
}
