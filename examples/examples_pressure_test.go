package examples_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
)

// TestPressure wants the stall to be seen, and named: an idle connection, one that
// its peer holds back, and an idle one again.
func TestPressure(t *testing.T) {
	bin := build(t, "pressure")
	engines(t, func(t *testing.T, env []string) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
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
				t.Fatalf("no %q in what follows in\n%s", want, out)
			}
			rest = after
		}
	})
}
