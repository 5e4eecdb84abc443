package docs

import (
	"fmt"
	"path"
	"regexp"
	"testing"
)

// contractLink finds links to rows of the contract, bareStatement what should be
// one.
var (
	contractLink  = regexp.MustCompile(`\]\(([^)#]*)#([sx]\d+)\)`)
	bareStatement = regexp.MustCompile(`(?i)\bstatements? \d`)
)

// badLinks finds links to rows that are not there, and statements named without a
// link.
func (c contract) badLinks(t *tree) []violation {
	rows := map[string]bool{}
	for _, r := range c.statements {
		rows[fmt.Sprint("s", r.id)] = true
	}
	for _, r := range c.divergences {
		rows[fmt.Sprint("x", r.id)] = true
	}
	return t.documents(func(name string, l line) string {
		if l.language != "" {
			return ""
		}
		for _, match := range contractLink.FindAllStringSubmatch(l.text, -1) {
			to := path.Join(path.Dir(name), match[1])
			if match[1] == "" {
				to = name
			}
			if to == contractDoc && !rows[match[2]] {
				return "links to " + match[2] + " of the contract, which is not there"
			}
		}
		prose := inlineCode.ReplaceAllString(l.text, "")
		if bareStatement.MatchString(prose) && name != contractDoc {
			return "names a statement without a link to " + contractDoc
		}
		return ""
	})
}

func TestNumbersLeadToTheContract(t *testing.T) {
	repository, _ := loadOnce(t)
	for _, v := range readContract(repository.texts[contractDoc]).badLinks(repository) {
		t.Error(v)
	}
}
