package docs

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	glossary    = "docs/glossary.md"
	glossaryMax = 30
)

// glossaryWords are the words that the glossary explains, in its order.
func glossaryWords(t *tree) []string {
	var out []string
	for _, l := range linesOf(t.texts[glossary]) {
		cells := strings.Split(l.text, "|")
		if len(cells) == 4 && !strings.HasPrefix(cells[1], "---") && cells[1] != " word " {
			out = append(out, strings.TrimSpace(cells[1]))
		}
	}
	return out
}

// wordsOf are the words that code is made of: those of its comments, and those that its
// names are composed of.
func wordsOf(text string) map[string]bool {
	found := map[string]bool{}
	for _, name := range regexp.MustCompile(`[A-Za-z]+`).FindAllString(text, -1) {
		for _, word := range camelWords(name) {
			found[word] = true
		}
	}
	return found
}

// camelWords takes a name apart: sizeMax is size and max.
func camelWords(name string) []string {
	parts := camelWord.FindAllString(name, -1)
	for i := range parts {
		parts[i] = strings.ToLower(parts[i])
	}
	return parts
}

var camelWord = regexp.MustCompile(`[A-Z]+[a-z]*|[a-z]+`)

func TestTheGlossaryIsShortAndItsWordsAreUsed(t *testing.T) {
	tree, _ := loadOnce(t)
	words := glossaryWords(tree)
	if len(words) == 0 || len(words) > glossaryMax {
		t.Errorf("%d words, and at most %d are worth learning", len(words), glossaryMax)
	}
	if !slices.IsSortedFunc(words, strings.Compare) {
		t.Error("they are not in the order of the alphabet")
	}
	used := map[string]bool{}
	for _, s := range tree.sources {
		if s.isLibrary() && !s.isKit() {
			for word := range wordsOf(s.text) {
				used[word] = true
			}
		}
	}
	for _, word := range words {
		if !used[word] {
			t.Errorf("no source of the library has the word %q", word)
		}
	}
}

// metaphors are words that names were made of once, for which the field has words:
// spawn, register, successor, free, dial, back off, cancel, handshake, report.
var metaphors = []string{"bark", "birth", "births", "born", "bury", "doom", "doomed", "dry",
	"crowd", "guest", "heir", "hungry", "knock", "lull", "nurse", "office", "orphan", "parcel",
	"patience", "postman", "raise", "shake", "shaken", "tight", "till"}

// metaphorsIn are the names that a tree declares of such a word.
func metaphorsIn(t *tree) []violation {
	var out []violation
	for _, s := range t.sources {
		for _, name := range declared(s.file) {
			for _, word := range camelWords(name.Name) {
				if slices.Contains(metaphors, word) {
					out = append(out, s.at(name, name.Name+": the field has a word for "+word))
				}
			}
		}
	}
	return out
}

func TestNamesAreMadeOfTheFieldsWords(t *testing.T) {
	tree, _ := loadOnce(t)
	for _, v := range metaphorsIn(tree) {
		t.Error(v)
	}
}

func TestAMetaphorIsFound(t *testing.T) {
	wantOne(t, metaphorsIn(grow(one("a/a.go", "package a\n\nvar lastBirth, stillness int\n"))),
		"a/a.go:3")
}
