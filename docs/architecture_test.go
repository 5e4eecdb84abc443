package docs

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

const architecture = "docs/architecture.md"

var packageRow = regexp.MustCompile("^\\| `([^`]+)` \\|")

// packageTable compares the table of packages with the tree: what is missing in either.
// What belongs to pressure alone, and programs, have no row.
func packageTable(t *tree) (unlisted, gone []string) {
	packages := map[string]bool{}
	for _, s := range t.sources {
		if dir := s.dir(); !s.isTest() && !under(dir, "bench", "examples", "docs") &&
			!strings.HasPrefix(dir, "transport/pressure/internal/") {
			packages[dir] = true
		}
	}
	for _, l := range linesOf(t.texts[architecture]) {
		row := packageRow.FindStringSubmatch(l.text)
		if row == nil || l.language != "" {
			continue
		}
		there := t.paths[row[1]]
		if there && !packages[row[1]] || !there && strings.Contains(row[1], "/") {
			gone = append(gone, row[1])
		}
		delete(packages, row[1])
	}
	for dir := range packages {
		unlisted = append(unlisted, dir)
	}
	slices.Sort(unlisted)
	return unlisted, gone
}

func TestTheTableOfPackagesIsTheTree(t *testing.T) {
	tree, _ := loadOnce(t)
	unlisted, gone := packageTable(tree)
	for _, dir := range unlisted {
		t.Errorf("%s has no row for %s", architecture, dir)
	}
	for _, dir := range gone {
		t.Errorf("%s has a row for %s, which is no package", architecture, dir)
	}
}

func TestAPackageWithoutARowIsFound(t *testing.T) {
	unlisted, gone := packageTable(grow(map[string]string{
		"loop/a.go": "package loop", "loop/x/x.go": "package x", "examples/e/e.go": "package main",
		architecture: "| `loop` | one |\n| `loop/y` | two |\n",
	}))
	if !slices.Equal(unlisted, []string{"loop/x"}) || !slices.Equal(gone, []string{"loop/y"}) {
		t.Errorf("unlisted %q, gone %q", unlisted, gone)
	}
}
