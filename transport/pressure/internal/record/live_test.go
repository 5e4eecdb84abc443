package record

import (
	"context"
	"errors"
	"iter"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/sampletest"
)

// A fake is a source of made-up moments. After the last one the process is gone.
type fake struct {
	moments []sampletest.Moment
	next    int
	closed  chan struct{}
	ended   chan struct{}
}

func newFake(n int) *fake {
	return &fake{moments: sampletest.Moments(n), closed: make(chan struct{}),
		ended: make(chan struct{})}
}

func (f *fake) Snapshot() (*pressure.Snapshot, error) {
	if f.next == len(f.moments) {
		return nil, os.ErrProcessDone
	}
	f.next++
	return f.moments[f.next-1].Snapshot, nil
}

func (f *fake) Accounts() iter.Seq[pressure.Account] {
	return slices.Values(f.moments[f.next-1].Accounts)
}

func (f *fake) Events() iter.Seq2[pressure.Event, error] {
	return func(yield func(pressure.Event, error) bool) {
		defer close(f.ended)
		events := sampletest.Events(len(f.moments))
		slices.Reverse(events)
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
		<-f.closed
	}
}

func (f *fake) Lost() uint64 { return 3 }

func (f *fake) Close() error { close(f.closed); return nil }

func TestARecordingEndsWithItsProcess(t *testing.T) {
	source, r := newFake(4), &Recording{}
	ticks := make(chan time.Time, 10)
	for range 10 {
		ticks <- time.Time{}
	}
	if err := r.Run(context.Background(), source, ticks); err != nil {
		t.Fatal(err)
	}
	if len(r.Moments) != 4 || len(r.Moments[0].Accounts) != 0 || len(r.Moments[1].Accounts) == 0 {
		t.Errorf("has %d moments", len(r.Moments))
	}
	if want := sampletest.Events(4); !slices.Equal(r.Events, want) || r.Lost != 3 {
		t.Errorf("has the events %v and lost %d", r.Events, r.Lost)
	}
	<-source.ended
}

func TestARecordingEndsWithItsContextAndTakesALastMoment(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := &Recording{}
	if err := r.Run(ctx, newFake(9), nil); err != nil {
		t.Fatal(err)
	}
	if len(r.Moments) != 2 {
		t.Errorf("has %d moments, not the first and the last", len(r.Moments))
	}
}

func TestANonexistentProcessGivesNoRecording(t *testing.T) {
	err := (&Recording{}).Run(context.Background(), newFake(0), nil)
	if !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("ends with %v", err)
	}
}

var _ Source = (*pressure.Tracer)(nil)
