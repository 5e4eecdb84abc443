package transporttest_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	// inName is a statement's number in the name of a test or subtest.
	inName = regexp.MustCompile(`S(\d{3})_`)

	// inComment is a list of further statements that a test shows.
	inComment = regexp.MustCompile(`// statements: ([\d, ]+)`)
)

// TestStatementsHaveTests prints how many statements of the contract have a
// test, by section, and fails for those that have none and no reason either.
func TestStatementsHaveTests(t *testing.T) {
	shown := statementsIn(t, filepath.Join("..", ".."))
	all, covered := 0, 0
	for _, s := range sections {
		have := 0
		var missing []int
		for n := s.first; n <= s.last; n++ {
			switch _, excused := untested[n]; {
			case slices.Contains(shown, n):
				have++
			case !excused && s.tags[n-s.first] != 'N':
				missing = append(missing, n)
			}
		}
		count := s.last - s.first + 1
		t.Logf("%-14s %3d of %3d", s.name, have, count)
		if len(missing) > 0 {
			t.Errorf("%s: no test and no reason: %v", s.name, missing)
		}
		all, covered = all+count, covered+have
	}
	t.Logf("%-14s %3d of %3d, %d with a reason", "together", covered, all, len(untested))
	for n, why := range untested {
		if slices.Contains(shown, n) {
			t.Errorf("statement %d has a test and a reason for none: %s", n, why)
		}
	}
}

func TestSectionsHaveATagForEachStatement(t *testing.T) {
	for _, s := range sections {
		if len(s.tags) != s.last-s.first+1 || strings.Trim(s.tags, "MDSXIN") != "" {
			t.Errorf("%s: %d tags for %d statements", s.name, len(s.tags), s.last-s.first+1)
		}
	}
}

// statementsIn returns the numbers that the tests and kits below root name.
func statementsIn(t *testing.T, root string) (numbers []int) {
	t.Helper()
	note := func(s string) {
		if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil {
			numbers = append(numbers, n)
		}
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		if !strings.HasSuffix(path, "_test.go") &&
			!strings.Contains(path, "transporttest"+string(filepath.Separator)+"kit_") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range inName.FindAllSubmatch(text, -1) {
			note(string(m[1]))
		}
		for _, m := range inComment.FindAllSubmatch(text, -1) {
			for s := range strings.SplitSeq(string(m[1]), ",") {
				note(s)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return numbers
}
