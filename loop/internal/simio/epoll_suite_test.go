package simio_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/epoll"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/proactor/proactortest"
	"github.com/sluice-net/sluice/loop/internal/simio"
)

// TestRealEpollEngine runs the suite that every engine passes on the real engine, on a
// simulated epoll.
func TestRealEpollEngine(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for seed := range simio.SuiteSeeds() {
		proactortest.Run(t, func(t *testing.T, cfg proactor.Config) proactor.Proactor {
			t.Logf("seed %d", seed)
			m := simio.NewEpoll(simio.Options{Seed: seed, BufferMin: 64 << 10})
			p, err := epoll.NewOn(m, cfg)
			if err != nil {
				t.Fatal(err)
			}
			return m.Drive(p)
		})
	}
}
