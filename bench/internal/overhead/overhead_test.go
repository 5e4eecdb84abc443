package overhead

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/bench/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestEveryLevelIsMeasuredOnEveryWorkload(t *testing.T) {
	var results []Result
	err := Measure(t.Context(), 1, func(r Result) { results = append(results, r) })
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("needs " + err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	if want := len(Levels) * len(workloads); len(results) != want {
		t.Errorf("%d results, want %d", len(results), want)
	}
	for _, r := range results {
		if r.Median <= 0 || r.Low > r.Median || r.High < r.Median || r.Bare <= 0 || r.Ops <= 0 {
			t.Errorf("%+v", r)
		}
	}
}

func TestWhatIsBeyondItsLimitIsSaid(t *testing.T) {
	r := Result{Level: Levels[1], Workload: "w", Promised: true, Median: 1.03,
		Bare: time.Microsecond}
	if !r.Beyond() {
		t.Error("1.03 is not beyond 1.02")
	}
	var out strings.Builder
	if err := Print(&out, []Result{r}); err != nil || !strings.Contains(out.String(), "beyond") {
		t.Errorf("%v:\n%s", err, &out)
	}
	r.Promised = false
	if r.Beyond() {
		t.Error("beyond a limit that is not promised")
	}
}
