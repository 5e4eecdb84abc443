package simio_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/iouring"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/proactor/proactortest"
	"github.com/sluice-net/sluice/loop/internal/simio"
)

// TestRealEngine runs the suite that every engine passes on the real engine for
// io_uring, on a simulated ring: as it is, and with the smallest queues on a ring that
// takes part of them and completes little at a time.
func TestRealEngine(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for name, mean := range map[string]bool{"kind": false, "mean": true} {
		t.Run(name, func(t *testing.T) {
			for seed := range simio.SuiteSeeds() {
				proactortest.Run(t, func(t *testing.T, cfg proactor.Config) proactor.Proactor {
					t.Logf("seed %d", seed)
					return realEngine(t, seed, mean, cfg)
				})
			}
		})
	}
}

func realEngine(t *testing.T, seed uint64, mean bool, cfg proactor.Config) proactor.Proactor {
	o := simio.Options{Seed: seed, BufferMin: 64 << 10}
	if mean {
		o.Faults = simio.Faults{TakePart: 0.5, SmallBatch: 0.5, Reorder: 0.5,
			Again: 0.2, Spurious: 0.2}
		cfg.Entries, cfg.CQEntries = 1<<seed, 1<<seed
	}
	return drive(t, simio.NewMachine(o), cfg)
}

// drive makes the real engine on m.
func drive(t *testing.T, m *simio.Machine, cfg proactor.Config) proactor.Proactor {
	t.Helper()
	p, err := iouring.NewOn(m, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m.Drive(p)
}
