package docs

import (
	"go/ast"
	"regexp"
	"strings"
)

// testName is the one style of names: the numbers of the statements of the
// contract that the test shows, if there are any, and a sentence run together.
var testName = regexp.MustCompile(`^(?:Test|Fuzz|Benchmark)(S\d{3}_)*[A-Z][A-Za-z0-9]*$`)

// testNames looks at what go test runs; names of examples are Go's own affair.
func testNames(t *tree) []violation {
	var out []violation
	for _, s := range t.sources {
		if !s.isTest() {
			continue
		}
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if ok && f.Recv == nil && isRun(f.Name.Name) && !testName.MatchString(f.Name.Name) {
				out = append(out, s.at(f, f.Name.Name+" is not named like TestS316_CloseTwice"+
					" or TestWhatHappens"))
			}
		}
	}
	return out
}

// isRun reports whether go test may run the function of that name.
func isRun(name string) bool {
	for _, kind := range []string{"Test", "Fuzz", "Benchmark"} {
		if rest, ok := strings.CutPrefix(name, kind); ok {
			return rest == "" || rest[0] < 'a' || rest[0] > 'z'
		}
	}
	return false
}
