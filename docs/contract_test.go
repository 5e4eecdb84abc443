package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	notShown = "not shown: "
	toUpdate = "run go test ./docs -run TestContract -update"
)

// check compares the document with the tests.
func (c contract) check(t *tree) []violation {
	out := c.broken
	complain := func(number int, format string, args ...any) {
		out = append(out, violation{contractDoc, number, fmt.Sprintf(format, args...)})
	}
	all := t.showings()
	for _, s := range all {
		for _, n := range s.statements {
			if n < 1 || n > statementMax {
				out = append(out, violation{s.path, s.line,
					fmt.Sprintf("%s: there is no statement %d", s.name, n)})
			}
		}
	}
	shown := shownBy(all)
	for _, r := range c.statements {
		switch reason, excused := strings.CutPrefix(r.shown, notShown); {
		case excused && shown[r.id] != "":
			complain(r.number, "statement %d is %sit has %s", r.id, notShown, shown[r.id])
		case excused && reason != "":
		case shown[r.id] == "":
			complain(r.number, "statement %d has no test and no reason for none: write %q and why",
				r.id, notShown)
		case r.shown != shown[r.id]:
			complain(r.number, "statement %d is shown by other tests than it says: %s",
				r.id, toUpdate)
		}
	}
	for _, r := range c.divergences {
		if wrong := divergenceShown(r.shown, shown); wrong != "" {
			complain(r.number, "X%d %s", r.id, wrong)
		}
	}
	return slices.Concat(out, c.keptBy(t), c.keptByNone(shown))
}

var (
	statementLink = regexp.MustCompile(`^\[(\d+)\]\(#s(\d+)\)$`)
	keptByLink    = regexp.MustCompile(`\]\(([^)]+)\)`)
	keptNumbers   = regexp.MustCompile(`\]\([^)]+\) ([\d, –]+)`)
	keptRange     = regexp.MustCompile(`(\d+)(?:–(\d+))?`)
	tagLetter     = regexp.MustCompile(`^[MDSXIN]$`)
)

// divergenceShown says what is wrong with the last cell of a divergence: links to
// statements that tests show, or why there is none.
func divergenceShown(cell string, shown map[int]string) string {
	if reason, excused := strings.CutPrefix(cell, notShown); excused && reason != "" {
		return ""
	}
	for link := range strings.SplitSeq(cell, ", ") {
		match := statementLink.FindStringSubmatch(link)
		if match == nil || match[1] != match[2] {
			return "is shown by statements, as in [48](#s48), not by " + strconv.Quote(link)
		}
		if n, err := strconv.Atoi(match[1]); err != nil || shown[n] == "" {
			return "is shown by statement " + match[1] + ", which no test shows"
		}
	}
	return ""
}

// keptBy complains about sections that name no file of Go, or one that is not there.
func (c contract) keptBy(t *tree) []violation {
	var out []violation
	for _, s := range c.sections {
		files := 0
		for _, match := range keptByLink.FindAllStringSubmatch(s.keptBy, -1) {
			to := destination(contractDoc, match[1])
			if files++; !t.paths[to] {
				out = append(out, violation{contractDoc, s.number,
					s.name + " is kept by " + to + ", which is not there"})
			}
		}
		if files == 0 && s.keptBy != "–" {
			out = append(out, violation{contractDoc, s.number, s.name + " is kept by no file"})
		}
	}
	return out
}

// keptByNone complains about statements that a test shows and that no file of their
// section is said to keep, and about numbers that stand behind a file of another section.
func (c contract) keptByNone(shown map[int]string) []violation {
	var out []violation
	for i, s := range c.sections {
		kept := s.kept()
		for _, r := range c.statements {
			switch {
			case r.section == i && shown[r.id] != "" && !kept[r.id]:
				out = append(out, violation{contractDoc, r.number,
					fmt.Sprintf("statement %d is kept by no file of its section", r.id)})
			case r.section != i && kept[r.id]:
				out = append(out, violation{contractDoc, s.number,
					fmt.Sprintf("%s: statement %d is in another section", s.name, r.id)})
			}
		}
	}
	return out
}

// kept returns the statements that stand behind a file.
func (s contractSection) kept() map[int]bool {
	out := map[int]bool{}
	for _, match := range keptNumbers.FindAllStringSubmatch(s.keptBy, -1) {
		for _, span := range keptRange.FindAllStringSubmatch(match[1], -1) {
			first, _ := strconv.Atoi(span[1])
			last, err := strconv.Atoi(span[2])
			if err != nil {
				last = first
			}
			for id := first; id <= last; id++ {
				out[id] = true
			}
		}
	}
	return out
}

// lacks says what is missing.
func (c contract) lacks() []violation {
	var out []violation
	out = append(out, incomplete(c.statements, statementMax, "statement ")...)
	out = append(out, incomplete(c.divergences, divergenceMax, "X")...)
	for _, r := range c.statements {
		if !tagLetter.MatchString(r.cells[0]) {
			out = append(out, violation{contractDoc, r.number, "has no tag of a letter"})
		}
	}
	for _, s := range c.sections {
		if !strings.Contains(s.keptBy, ".go)") {
			out = append(out, violation{contractDoc, s.number, s.name + " is kept by nothing"})
		}
	}
	return out
}

// incomplete finds what is missing, doubled or out of order among rows 1 to last,
// and empty cells.
func incomplete(rows []contractRow, last int, what string) []violation {
	var out []violation
	next := 1
	for _, r := range rows {
		switch {
		case r.id < next:
			out = append(out, violation{contractDoc, r.number,
				fmt.Sprintf("%s%d is doubled or out of order", what, r.id)})
			continue
		case r.id > last:
			out = append(out, violation{contractDoc, r.number,
				fmt.Sprintf("there is no %s%d", what, r.id)})
			continue
		case r.id > next:
			out = append(out, violation{contractDoc, r.number,
				fmt.Sprintf("before it %s%d to %d are missing", what, next, r.id-1)})
		}
		next = r.id + 1
		if slices.Contains(r.cells, "") {
			out = append(out, violation{contractDoc, r.number,
				fmt.Sprintf("%s%d has an empty cell", what, r.id)})
		}
	}
	if next <= last {
		out = append(out, violation{contractDoc, 0,
			fmt.Sprintf("%s%d to %d are missing", what, next, last)})
	}
	return out
}

// updated returns the document with its last column written anew. Reasons for no
// test stay.
func (c contract) updated(text string, t *tree) string {
	shown := shownBy(t.showings())
	lines := strings.SplitAfter(text, "\n")
	for _, r := range c.statements {
		if shown[r.id] == "" || strings.HasPrefix(r.shown, notShown) {
			continue
		}
		cells := append([]string{fmt.Sprintf(`<a id="s%d"></a>%d`, r.id, r.id)}, r.cells...)
		lines[r.number-1] = "| " + strings.Join(append(cells, shown[r.id]), " | ") + " |\n"
	}
	return strings.Join(lines, "")
}

func TestContractAndTestsAgree(t *testing.T) {
	repository, _ := loadOnce(t)
	text := repository.texts[contractDoc]
	c := readContract(text)
	if *update {
		text = c.updated(text, repository)
		file := filepath.Join("..", contractDoc)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		c = readContract(text)
	}
	if len(c.sections) != 22 || len(repository.showings()) < 300 {
		t.Fatalf("found %d sections and %d tests", len(c.sections), len(repository.showings()))
	}
	for _, v := range slices.Concat(c.check(repository), c.lacks()) {
		t.Error(v)
	}
}
