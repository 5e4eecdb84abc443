package docs

import (
	"regexp"
	"strconv"
	"strings"
)

const (
	// contractDoc is the document whose tables are read.
	contractDoc = "docs/contract.md"

	// statementMax is the number of the contract's last statement, divergenceMax
	// that of its last divergence.
	statementMax  = 463
	divergenceMax = 26
)

// A contract is what the document says.
type contract struct {
	sections    []contractSection
	statements  []contractRow
	divergences []contractRow
	broken      []violation // rows that cannot be read
}

// A contractSection has statements, kept by the files that it names. After each file
// stand the numbers of the statements that it keeps: [a.go](a.go) 1, 4–6.
type contractSection struct {
	number int // of the heading's line
	name   string
	keptBy string
}

// A contractRow is a statement or a divergence. Its shown says which tests show
// it, or why none does.
type contractRow struct {
	number  int // of the line
	section int // the index of its section, -1 for none
	id      int
	cells   []string // after the number: tag, statement, source for a statement
	shown   string
}

var (
	contractID     = regexp.MustCompile(`^<a id="([sx])(\d+)"></a>(X?)(\d+)$`)
	contractHeads  = []string{"| # | tag |", "| # | what they do |"}
	contractLetter = regexp.MustCompile(`^## [A-V]\. `)
)

// readContract takes the tables out of the document.
func readContract(text string) contract {
	var c contract
	for _, l := range linesOf(text) {
		switch kept, isKept := strings.CutPrefix(l.text, "Kept by: "); {
		case contractLetter.MatchString(l.text):
			c.sections = append(c.sections, contractSection{number: l.number, name: l.text[3:]})
		case isKept && len(c.sections) > 0:
			c.sections[len(c.sections)-1].keptBy = kept
		case strings.HasPrefix(l.text, "| "+`<a id=`):
			c.add(l)
		case strings.HasPrefix(l.text, "|") && !tableRule.MatchString(l.text) &&
			!strings.HasPrefix(l.text, contractHeads[0]) &&
			!strings.HasPrefix(l.text, contractHeads[1]):
			c.broken = append(c.broken,
				violation{contractDoc, l.number, "is no row of the contract"})
		}
	}
	return c
}

// add reads one row.
func (c *contract) add(l line) {
	cells := cellsOf(l.text)
	match := contractID.FindStringSubmatch(cells[0])
	if match == nil || match[2] != match[4] || (match[1] == "x") != (match[3] == "X") ||
		len(cells) != 5 {
		c.broken = append(c.broken, violation{contractDoc, l.number,
			`does not begin with <a id="s1"></a>1 and have five cells`})
		return
	}
	id, err := strconv.Atoi(match[2])
	if err != nil || match[2] != strconv.Itoa(id) {
		c.broken = append(c.broken, violation{contractDoc, l.number, "has no plain number"})
		return
	}
	r := contractRow{number: l.number, section: len(c.sections) - 1, id: id, cells: cells[1:4],
		shown: cells[4]}
	if match[1] == "x" {
		c.divergences = append(c.divergences, r)
	} else {
		c.statements = append(c.statements, r)
	}
}
