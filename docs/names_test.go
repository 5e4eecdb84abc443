package docs

import (
	"go/importer"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

// spoken are the packages that documents speak of as `package.Name`.
var spoken = map[string]string{
	"transport":     "transport",
	"protocol":      "protocol",
	"loop":          "loop",
	"stream":        "loop/stream",
	"uring":         "uring",
	"flowpage":      "transport/flowpage",
	"looptest":      "loop/looptest",
	"transporttest": "transport/transporttest",
}

// repository is loaded once for the tests that look names up.
var repository struct {
	once  sync.Once
	tree  *tree
	names *typeChecker
}

// loadOnce returns the repository and what knows the names in it.
func loadOnce(t *testing.T) (*tree, *typeChecker) {
	t.Helper()
	repository.once.Do(func() {
		repository.tree = load(t, "..")
		repository.names = newNames(t, repository.tree)
	})
	if repository.tree == nil {
		t.Fatal("the repository could not be read")
	}
	return repository.tree, repository.names
}

// newNames returns a type checker that also knows the standard library: what
// the sources import of it, and what snippets may.
func newNames(tb testing.TB, t *tree) *typeChecker {
	tb.Helper()
	c := newTypeChecker(t)
	files := exports(tb, standardImports(t))
	c.standard = importer.ForCompiler(t.fset, "gc", func(name string) (io.ReadCloser, error) {
		return os.Open(files[name])
	})
	return c
}

// standardImports are the packages of the standard library that are imported.
func standardImports(t *tree) []string {
	names := slices.Clone(slices.Collect(maps.Values(short)))
	for _, s := range t.sources {
		for _, spec := range s.file.Imports {
			names = append(names, target(spec))
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool {
		return !isStandard(name) || name == "C" || name == "unsafe"
	})
}

// isStandard reports whether an import path is one of the standard library.
func isStandard(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return !strings.Contains(first, ".")
}

// exportFiles are the files that exports has found so far.
var exportFiles = map[string]string{}

// exports returns the files with the exported names of packages. One call of the go
// command finds all that are not known yet: importer.Default makes one for each, and one
// for each tree that a test makes up takes longer than all the tests.
func exports(tb testing.TB, names []string) map[string]string {
	tb.Helper()
	unknown := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return exportFiles[name] != ""
	})
	if len(unknown) == 0 {
		return exportFiles
	}
	args := append([]string{"list", "-export", "-f", "{{.ImportPath}} {{.Export}}"}, unknown...)
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		tb.Fatalf("go list -export: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		exportFiles[name] = file
	}
	return exportFiles
}

// exported reports whether name, as in "loop.Loop.CallSoon", is an exported
// name of one of the packages that documents speak of.
func (c *typeChecker) exported(name string) bool {
	parts := strings.Split(name, ".")
	dir, ok := spoken[parts[0]]
	if !ok || len(parts) < 2 {
		return false
	}
	pkg := c.check(dir)
	object := pkg.Scope().Lookup(parts[1])
	for _, member := range parts[2:] {
		if object == nil || !object.Exported() {
			return false
		}
		object, _, _ = types.LookupFieldOrMethod(object.Type(), true, pkg, member)
	}
	return object != nil && object.Exported()
}

// interfaceMethods returns the methods of the interfaces in a package as
// "package.Interface.Method". What one embeds is listed where it is declared,
// but at the embedding interface if it was declared outside of this module.
func (c *typeChecker) interfaceMethods(name string) []string {
	var out []string
	scope := c.check(spoken[name]).Scope()
	for _, typ := range scope.Names() {
		object, ok := scope.Lookup(typ).(*types.TypeName)
		if !ok || !object.Exported() {
			continue
		}
		face, ok := object.Type().Underlying().(*types.Interface)
		if !ok {
			continue
		}
		for _, method := range ownMethods(face) {
			out = append(out, name+"."+typ+"."+method)
		}
	}
	return out
}

// ownMethods are the methods that an interface spells out or takes over from
// an interface that is not ours.
func ownMethods(face *types.Interface) []string {
	var out []string
	for method := range face.ExplicitMethods() {
		out = append(out, method.Name())
	}
	for embedded := range face.EmbeddedTypes() {
		named, ok := embedded.(*types.Named)
		if !ok || strings.HasPrefix(named.Obj().Pkg().Path(), module) {
			continue
		}
		if foreign, ok := named.Underlying().(*types.Interface); ok {
			for method := range foreign.Methods() {
				out = append(out, method.Name())
			}
		}
	}
	return out
}

// methods returns the exported methods of a type as "package.Type.Method".
func (c *typeChecker) methods(name, typ string) []string {
	var out []string
	object := c.check(spoken[name]).Scope().Lookup(typ)
	if object == nil {
		return nil
	}
	named, ok := object.Type().(*types.Named)
	if !ok {
		return nil
	}
	for method := range named.Methods() {
		if method.Exported() {
			out = append(out, name+"."+typ+"."+method.Name())
		}
	}
	return out
}

// little is a module that names are looked up in.
var little = map[string]string{
	"transport/t.go": `package transport
import "io"
type Base interface {
	io.Closer
	Name() string
}
type Wide interface {
	Base
	Write()
}
func Of(b Base) string { return "" }
func hidden() {}
`,
	"loop/l.go": `package loop
type Loop struct { Field int; inner }
type inner struct{}
func (inner) Inherited() {}
func (l *Loop) Run() {}
func (l *Loop) run() {}
`,
}

func TestNamesAreLookedUp(t *testing.T) {
	c := newNames(t, grow(little))
	for name, want := range map[string]bool{
		"transport.Base": true, "transport.Base.Close": true, "transport.Wide.Name": true,
		"transport.Of": true, "loop.Loop.Run": true, "loop.Loop.Field": true,
		"loop.Loop.Inherited": true, "transport.Wide.Write": true,
		"transport.None": false, "transport.Base.None": false, "transport.hidden": false,
		"loop.Loop.run": false, "loop.inner": false, "loop": false, "other.Name": false,
		"loop.Loop.Run.More": false, "transport": false, "transport.none.More": false,
	} {
		if got := c.exported(name); got != want {
			t.Errorf("exported(%q) = %v, want %v", name, got, want)
		}
	}
	want := []string{"transport.Base.Close", "transport.Base.Name", "transport.Wide.Write"}
	got := slices.Sorted(slices.Values(c.interfaceMethods("transport")))
	if !slices.Equal(got, want) {
		t.Errorf("interfaceMethods = %v, want %v", got, want)
	}
	if got := c.methods("loop", "Loop"); !slices.Equal(got, []string{"loop.Loop.Run"}) {
		t.Errorf("methods = %v", got)
	}
	if got := c.methods("loop", "None"); got != nil {
		t.Errorf("methods of a type that is not there: %v", got)
	}
}
