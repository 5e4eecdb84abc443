package examples_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
)

// TestPressure wants the stall to be seen, and named: an idle connection, one that
// its peer holds back, and an idle one again. The example looks three times in each of
// its phases, for which a machine that is busy with other tests may leave it no time: it
// has three tries.
func TestPressure(t *testing.T) {
	bin := build(t, "pressure")
	engines(t, func(t *testing.T, env []string) {
		for try := 1; ; try++ {
			missing, out := runPressure(t, bin, env)
			switch {
			case missing == "":
				return
			case try == 3:
				t.Fatalf("no %q in what follows in\n%s", missing, out)
			}
		}
	})
}

// runPressure runs the example once, and returns what its output lacks.
func runPressure(t *testing.T, bin string, env []string) (missing, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rest := string(out)
	for _, want := range []string{
		" idle ", "the client stalls", " peer   peer's window", "reads again",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			return want, string(out)
		}
		rest = after
	}
	return "", string(out)
}
