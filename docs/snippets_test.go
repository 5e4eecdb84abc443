package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A snippet is a block of Go in a document.
type snippet struct {
	number int // of its first line
	code   string
}

// snippetsOf returns the blocks of a document that say that they are Go.
func snippetsOf(document string) []snippet {
	var out []snippet
	for _, l := range linesOf(document) {
		if l.language != "go" {
			continue
		}
		last := len(out) - 1
		if last < 0 || out[last].number+strings.Count(out[last].code, "\n") != l.number {
			out, last = append(out, snippet{number: l.number}), last+1
		}
		out[last].code += l.text + "\n"
	}
	return out
}

// short are the packages that a snippet without imports may use.
var short = map[string]string{
	"bytes": "bytes", "context": "context", "errors": "errors", "fmt": "fmt", "io": "io",
	"log": "log", "net": "net", "os": "os", "strings": "strings", "syscall": "syscall",
	"testing": "testing", "time": "time",
}

// parse makes a file of a snippet: a file as it stands, declarations, or what
// belongs into a function. It begins on the line on which the snippet does.
func (s snippet) parse(fset *token.FileSet, document string) (*ast.File, error) {
	read := func(before, after string) (*ast.File, error) {
		text := fmt.Sprintf("%s//line %s:%d\n%s%s", before, document, s.number, s.code, after)
		return parser.ParseFile(fset, document, text, parser.SkipObjectResolution)
	}
	if strings.HasPrefix(s.code, "package ") {
		return read("", "")
	}
	before, after := "package snippet\n", ""
	if _, err := read(before, after); err != nil {
		before, after = before+"func _() {\n", "}\n"
	}
	bare, err := read(before, after)
	if err != nil {
		return nil, err
	}
	return read(strings.Replace(before, "\n", "\n"+importsFor(bare), 1), after)
}

// importsFor returns the imports that a file without any needs.
func importsFor(file *ast.File) string {
	paths := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := selector.X.(*ast.Ident); ok && ast.IsExported(selector.Sel.Name) {
			if dir, ours := spoken[id.Name]; ours {
				paths[module+"/"+dir] = true
			} else if name, standard := short[id.Name]; standard {
				paths[name] = true
			}
		}
		return true
	})
	out := ""
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		out += fmt.Sprintf("import %q\n", name)
	}
	return out
}

// compile returns what keeps the snippets of a document from compiling.
func (c *typeChecker) compile(document, text string) []violation {
	var out []violation
	for _, s := range snippetsOf(text) {
		fset := token.NewFileSet()
		file, err := s.parse(fset, document)
		if err != nil {
			out = append(out, violation{document, s.number, "does not parse: " + err.Error()})
			continue
		}
		config := types.Config{Importer: c, Error: func(err error) {
			if at, ok := err.(types.Error); ok {
				line := fset.Position(at.Pos).Line
				out = append(out, violation{document, line, "does not compile: " + at.Msg})
			}
		}}
		// The errors have been told of one by one.
		_, _ = config.Check("snippet", fset, []*ast.File{file}, nil)
	}
	return out
}

var (
	spokenName = regexp.MustCompile(
		`\b(?:transport|protocol|loop|uring|looptest|transporttest)(?:\.[A-Z]\w*)+\b`)
	relativePath = regexp.MustCompile(`^(?:\.{1,2}/)*[\w.-]+(?:/[\w.-]+)*/?$`)
)

// leads reports whether a span that looks like a path has to be one: it begins
// with a dot, or with a directory that there is. So "read/write" is none.
func leads(t *tree, document, span string) bool {
	first, _, more := strings.Cut(span, "/")
	if !more || !relativePath.MatchString(span) {
		return false
	}
	return first == "." || first == ".." || t.paths[first] ||
		t.paths[path.Join(path.Dir(document), first)]
}

// misnamed returns the names and paths in code quotes that are not there. Rows
// that say "not yet" are the comparison's affair.
func misnamed(t *tree, exists func(string) bool, document, text string) []violation {
	var out []violation
	for _, l := range linesOf(text) {
		if l.language != "" || strings.HasPrefix(l.text, "|") &&
			strings.Contains(l.text, "| not yet: `") {
			continue
		}
		for _, span := range spans(l.text) {
			for _, name := range spokenName.FindAllString(span, -1) {
				if !exists(name) {
					out = append(out, violation{document, l.number, name + " is not there"})
				}
			}
			if !leads(t, document, span) {
				continue
			}
			if near := path.Join(path.Dir(document), span); !t.paths[near] &&
				!t.paths[path.Clean(span)] {
				out = append(out, violation{document, l.number, span + " is not there"})
			}
		}
	}
	return out
}

// explained are the documents whose names and blocks of Go are checked.
func explained(t *tree) []string {
	names := []string{"README.md"}
	for _, name := range slices.Sorted(maps.Keys(t.texts)) {
		if under(path.Dir(name), "docs") && path.Ext(name) == ".md" {
			names = append(names, name)
		}
	}
	return names
}

func TestSnippetsCompile(t *testing.T) {
	repository, names := loadOnce(t)
	count := 0
	for _, document := range explained(repository) {
		text := repository.texts[document]
		count += len(snippetsOf(text))
		for _, v := range names.compile(document, text) {
			t.Error(v)
		}
	}
	if count == 0 {
		t.Error("found no Go in the documents")
	}
}

func TestNamesInDocumentsExist(t *testing.T) {
	repository, names := loadOnce(t)
	for _, document := range explained(repository) {
		text := repository.texts[document]
		for _, v := range misnamed(repository, names.exported, document, text) {
			t.Error(v)
		}
	}
}

func TestBadSnippetsFire(t *testing.T) {
	names := newNames(t, grow(little))
	for name, c := range map[string]struct {
		code string
		line int // of the only violation; 0: there is none
	}{
		"a file":            {"package a\n\nimport \"fmt\"\n\nfunc A() { fmt.Println() }\n", 0},
		"declarations":      {"type a struct{ l *loop.Loop }\n\nfunc (a a) b() { a.l.Run() }\n", 0},
		"a body":            {"l := &loop.Loop{}\nl.Run()\nfmt.Println(l)\n", 0},
		"no Go":             {"l :=\n", 3},
		"an unknown name":   {"l := &loop.Loop{}\nl.Walk()\n", 4},
		"a missing import":  {"package a\n\nfunc A() { fmt.Println() }\n", 5},
		"a wrong type":      {"var l loop.Loop = 3\n", 3},
		"an unused value":   {"l := 3\n", 3},
		"a hidden name":     {"var l loop.Loop\n\nfunc a() { l.run() }\n", 5},
		"a name of a value": {"loop := loop.Loop{}\nloop.Run()\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			got := names.compile("a.md", "# A\n```go\n"+c.code+"```\n```\nnot Go\n```\n")
			if c.line == 0 {
				for _, v := range got {
					t.Error("fires without reason:", v)
				}
				return
			}
			wantOne(t, got, fmt.Sprint("a.md:", c.line))
		})
	}
}

func TestBadNamesInDocumentsFire(t *testing.T) {
	tree := grow(map[string]string{"docs/a.md": "", "loop/l.go": little["loop/l.go"]})
	exists := newNames(t, tree).exported
	good := "`loop.Loop`, `loop.Loop.Run(x)`, `loop/l.go`, `a.md`, `../loop/l.go`, `loop/`,\n" +
		"`x.None`, loop.None, `read/write`, `and so/on`, `net/http`, `./..`\n" +
		"| `a` | not yet: `loop.None` | later |\n```text\n`loop.None`\n```\n"
	for _, v := range misnamed(tree, exists, "docs/a.md", good) {
		t.Error("fires without reason:", v)
	}
	for _, bad := range []string{
		"`loop.None`", "`*loop.Loop.Walk`", "`loop/none.go`", "`../loop/none`", "`./none`",
		"| `a` | `loop.None` | not yet |",
	} {
		wantOne(t, misnamed(tree, exists, "docs/a.md", "# A\n"+bad+"\n"), "docs/a.md:2")
	}
}
