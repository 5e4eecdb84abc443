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
