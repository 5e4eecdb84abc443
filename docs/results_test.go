package docs_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// recorded is the part of a result of the benchmark that the README shows.
type recorded struct {
	Command   string
	Workloads []struct {
		Name, Title, View string
		Rows              []recordedRow
	}
}

type recordedRow struct {
	Contestant string
	Syscalls   float64
	Ratio      *struct{ Median, Low, High float64 }
}

// lines are the rows of the README's table that the result stands for.
func (r *recorded) lines() []string {
	var out []string
	for _, w := range r.Workloads {
		rows := map[string]recordedRow{}
		for _, row := range w.Rows {
			rows[row.Contestant] = row
		}
		if w.View != "pinned" || rows["uring"].Ratio == nil {
			continue
		}
		out = append(out, fmt.Sprintf("| %s | %s | %s | %s | %.2f, %.2f |", w.Title,
			rows["uring"].ratio(), rows["epoll"].ratio(), rows["net-again"].ratio(),
			rows["uring"].Syscalls, rows["net"].Syscalls))
	}
	return out
}

func (r recordedRow) ratio() string {
	if r.Ratio == nil {
		return "–"
	}
	return fmt.Sprintf("%.2f [%.2f, %.2f]", r.Ratio.Median, r.Ratio.Low, r.Ratio.High)
}

var resultLink = regexp.MustCompile(`\(bench/results/([^)]*\.json)\)`)

// notShown is what of a README differs from the result that it links to.
func notShown(readme string, load func(name string) ([]byte, error)) ([]string, error) {
	link := resultLink.FindStringSubmatch(readme)
	if link == nil {
		return []string{"no link to a result"}, nil
	}
	data, err := load(link[1])
	if err != nil {
		return nil, err
	}
	var r recorded
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, err
	}
	var missing []string
	for _, line := range append(r.lines(), r.Command) {
		if !strings.Contains(readme, line) {
			missing = append(missing, line)
		}
	}
	return missing, nil
}

func TestTheREADMEShowsTheResultThatItLinksTo(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	missing, err := notShown(string(readme), func(name string) ([]byte, error) {
		return os.ReadFile(filepath.Join("..", "bench", "results", name))
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range missing {
		t.Error("not in the README:", line)
	}
}

func TestANumberThatIsNotInTheResultIsFound(t *testing.T) {
	const result = `{"command": "go run ./bench", "workloads": [{"title": "echo", "view": "pinned",
		"rows": [{"contestant": "net", "syscalls": 3}, {"contestant": "uring", "syscalls": 0.06,
		"ratio": {"median": 0.7, "low": 0.6, "high": 0.8}}]}]}`
	load := func(string) ([]byte, error) { return []byte(result), nil }
	const right = "| echo | 0.70 [0.60, 0.80] | – | – | 0.06, 3.00 |\ngo run ./bench\n" +
		"[result](bench/results/x.json)"
	if missing, err := notShown(right, load); len(missing) > 0 || err != nil {
		t.Error(missing, err)
	}
	wrong := strings.Replace(right, "0.70", "0.60", 1)
	if missing, err := notShown(wrong, load); len(missing) != 1 || err != nil {
		t.Error("a wrong number passes:", missing, err)
	}
	if missing, _ := notShown("no link", load); len(missing) != 1 {
		t.Error("a README without a result passes")
	}
}
