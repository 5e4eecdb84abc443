package docs

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A showing is a test, a subtest or a case of a conformance kit whose name begins
// with the numbers of the statements that it shows.
type showing struct {
	name, path string
	line       int
	statements []int
}

var (
	shownInTest = regexp.MustCompile(`^(?:Test|Fuzz)((?:S\d{3}_)+)`)
	shownInCase = regexp.MustCompile(`^((?:S\d{3}_)+)\w+$`)
	threeDigits = regexp.MustCompile(`\d+`)
)

// showings are what shows statements, in the order of the files and lines.
func (t *tree) showings() []showing {
	var out []showing
	for _, s := range t.sources {
		if s.isTest() || s.isKit() {
			out = append(out, s.showings()...)
		}
	}
	return out
}

func (s *source) showings() []showing {
	var out []showing
	note := func(n ast.Node, name string, pattern *regexp.Regexp) {
		if match := pattern.FindStringSubmatch(name); match != nil {
			out = append(out, showing{name, s.path, s.line(n.Pos()), numbersIn(match[1])})
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if s.isTest() && n.Recv == nil {
				note(n, n.Name.Name, shownInTest)
			}
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
				note(n, text, shownInCase)
			}
		}
		return true
	})
	return out
}

func numbersIn(text string) []int {
	var out []int
	for _, digits := range threeDigits.FindAllString(text, -1) {
		if n, err := strconv.Atoi(digits); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// shownBy writes the last column: links to what shows each statement.
func shownBy(all []showing) map[int]string {
	links := map[int][]string{}
	for _, s := range all {
		link := fmt.Sprintf("[%s](../%s)", s.name, s.path)
		for _, n := range s.statements {
			if !slices.Contains(links[n], link) {
				links[n] = append(links[n], link)
			}
		}
	}
	out := map[int]string{}
	for n, list := range links {
		out[n] = strings.Join(list, ", ")
	}
	return out
}
