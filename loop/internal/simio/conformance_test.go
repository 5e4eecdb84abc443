package simio

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/proactor/proactortest"
)

// TestEngine runs the suite that every engine passes, over several seeds: sizes
// of buffers and segments and the ways through the network differ. The suite
// counts on 100 KiB fitting into a connection, as on Linux.
func TestEngine(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for seed := range SuiteSeeds() {
		proactortest.Run(t, func(t *testing.T, cfg proactor.Config) proactor.Proactor {
			t.Logf("seed %d", seed)
			return New(Options{Seed: seed, Config: cfg, BufferMin: 64 << 10})
		})
	}
}
