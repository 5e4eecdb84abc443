package docs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

const examplesIndex = "examples/README.md"

// unlistedExamples are the programs below examples that the index does not have, and the
// lines of the index that are of none.
func unlistedExamples(t *tree) []string {
	programs := map[string]bool{}
	for _, s := range t.sources {
		parts := strings.Split(s.path, "/")
		if len(parts) == 3 && parts[0] == "examples" && s.isMain() {
			programs[parts[1]] = false
		}
	}
	var out []string
	for _, l := range linesOf(t.texts[examplesIndex]) {
		name, isRow := strings.CutPrefix(l.text, "| [")
		if !isRow {
			continue
		}
		name, _, _ = strings.Cut(name, "]")
		listed, known := programs[name]
		switch {
		case !known:
			out = append(out, fmt.Sprintf("%s:%d: there is no example %s", examplesIndex,
				l.number, name))
		case listed:
			out = append(out, fmt.Sprintf("%s:%d: %s is listed twice", examplesIndex,
				l.number, name))
		}
		programs[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		if !programs[name] {
			out = append(out, fmt.Sprintf("%s has no line for %s", examplesIndex, name))
		}
	}
	return out
}

func TestEveryExampleIsInTheIndex(t *testing.T) {
	tree, _ := loadOnce(t)
	if tree.texts[examplesIndex] == "" {
		t.Fatal("there is no index")
	}
	for _, complaint := range unlistedExamples(tree) {
		t.Error(complaint)
	}
}

func TestAMissingExampleIsFound(t *testing.T) {
	got := unlistedExamples(grow(map[string]string{
		"examples/a/main.go": "package main",
		"examples/b/main.go": "package main",
		examplesIndex:        "| [a](a) | one |\n| [a](a) | again |\n| [c](c) | none |\n",
	}))
	want := []string{examplesIndex + ":2: a is listed twice",
		examplesIndex + ":3: there is no example c", examplesIndex + " has no line for b"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
