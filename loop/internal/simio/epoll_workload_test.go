package simio

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/epoll"
	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// onAnEpoll makes the engine on epoll, on a simulated epoll.
func onAnEpoll(t *testing.T, o Options) (*World, proactor.Proactor) {
	m := NewEpoll(o)
	engine, err := epoll.NewOn(m, o.Config)
	if err != nil {
		t.Fatal(err)
	}
	return m.World, m.Drive(engine)
}

func TestTheSameSeedGivesTheSameHistoryOnEpoll(t *testing.T) { sameHistories(t, onAnEpoll) }

func TestWithoutFaultsEverythingComesBackOnEpoll(t *testing.T) {
	eachSeed(t, func(seed uint64) { runWorkload(t, onAnEpoll, seed, Faults{}) })
}
