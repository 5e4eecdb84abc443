package loop

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sluice-net/sluice/loop/internal/oracletest"
)

// simSeeds is how many simulated kernels each scenario runs on. They differ in
// the sizes of buffers and in when lazy operations complete; the trace must not.
const simSeeds = 2

// scenarioEnv is an environment whose loop is started unless the scenario does
// that itself.
type scenarioEnv interface {
	oracletest.Env
	start()
	end() error
}

// TestAsyncioScenarios runs every scenario that was recorded from CPython on
// every engine.
func TestAsyncioScenarios(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	all, err := oracletest.Load(oracletest.Files())
	if err != nil {
		t.Fatal(err)
	}
	for _, engine := range []Engine{Uring, Epoll} {
		t.Run(strings.TrimPrefix(engine.String(), "io_"), func(t *testing.T) {
			needEngine(t, engine)
			for _, s := range all {
				t.Run(s.ID, func(t *testing.T) { runScenario(t, s, newKernelEnv(t, engine)) })
			}
		})
	}
	for name, ring := range map[string]bool{"sim": false, "simring": true} {
		t.Run(name, func(t *testing.T) {
			if !ring && os.Getenv("SLUICE_SIMULATIONS") != "all" {
				t.Skip("needs SLUICE_SIMULATIONS=all: it takes longer")
			}
			for _, s := range all {
				for seed := range uint64(simSeeds) {
					t.Run(fmt.Sprintf("%s/seed=%d", s.ID, seed), func(t *testing.T) {
						runScenario(t, s, newSimEnv(seed, ring))
					})
				}
			}
		})
	}
}

// needEngine skips the test where the machine, or whoever runs the tests, does
// without the engine.
func needEngine(t *testing.T, engine Engine) {
	want := strings.ToLower(os.Getenv(EngineEnv))
	if want != "" && want != "auto" && !strings.HasSuffix(engine.String(), want) {
		t.Skipf("needs %s, but %s=%s", engine, EngineEnv, want)
	}
	l, err := New(&Options{Engine: engine})
	if err != nil && engine == Uring {
		t.Skipf("needs io_uring (%v)", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func runScenario(t *testing.T, s oracletest.Scenario, e scenarioEnv) {
	if s.Transport != oracletest.IdleLoop {
		e.start()
	}
	t.Cleanup(func() {
		if err := e.end(); err != nil {
			t.Error(err)
		}
	})
	oracletest.Run(t, s, e)
}
