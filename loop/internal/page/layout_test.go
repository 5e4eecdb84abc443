package page

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"strings"
	"testing"
)

// The reader's package is public and may not import this one, nor show its layout.
// So the layout is written twice, and compared.
func TestTheReaderHasTheSameLayout(t *testing.T) {
	ours := declarations(t, "layout.go")
	theirs := declarations(t, "../../../transport/flowpage/layout.go")
	for _, name := range []string{"name", "version", "slotsMax", "magic", "headerSize",
		"slotSize", "header", "slot", "span", "flagEOFReceived", "flagEOFWritten",
		"engineUring", "engineEpoll", "engineSim"} {
		if ours[name] == "" || ours[name] != theirs[name] {
			t.Errorf("%s is written as\n%s\nand read as\n%s", name, ours[name], theirs[name])
		}
	}
}

// declarations returns the types and constants of a file by their names in lower case,
// without comments and without the names of packages.
func declarations(t *testing.T, name string) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, declaration := range file.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok {
			continue
		}
		for index, spec := range group.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				found[unexported(s.Name.Name)] = text(t, s.Type)
			case *ast.ValueSpec:
				value := "as above, row " + string(rune('0'+index))
				if len(s.Values) > 0 {
					value = text(t, s.Values[0])
				}
				found[unexported(s.Names[0].Name)] = value
			}
		}
	}
	return found
}

func unexported(name string) string { return strings.ToLower(name[:1]) + name[1:] }

func text(t *testing.T, node ast.Node) string {
	t.Helper()
	var out bytes.Buffer
	if err := printer.Fprint(&out, token.NewFileSet(), node); err != nil {
		t.Fatal(err)
	}
	plain := strings.ReplaceAll(out.String(), "flowpage.", "")
	return strings.Join(strings.Fields(plain), " ")
}
