package report

import (
	"fmt"

	"github.com/sluice-net/sluice/bench/internal/result"
)

// pairHeads are the heads of the table of pairs.
var pairHeads = []string{"workload", "view", "server", "to", "CPU ratio [95 %]", "rounds"}

// pairsText says what that table is.
const pairsText = "CPU time for a message of one server to that of another, in the same rounds"

// pairLines has a line for each pair that was compared.
func pairLines(f *result.File) (out [][]string) {
	for _, w := range f.Workloads {
		for _, r := range w.Rows {
			for _, p := range r.Pairs {
				out = append(out, []string{w.Title, string(w.View), r.Label, p.Label,
					fmt.Sprintf("%.3f [%.3f, %.3f]", p.Ratio.Median, p.Ratio.Low, p.Ratio.High),
					fmt.Sprint(p.Ratio.Count)})
			}
		}
	}
	return out
}
