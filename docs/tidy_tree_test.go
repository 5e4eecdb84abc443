package docs

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A tree is all that the rules look at. Tests make small ones by hand.
type tree struct {
	fset    *token.FileSet
	sources []*source         // every Go file that is written by hand, by path
	broken  []violation       // Go files that do not parse
	texts   map[string]string // every Go and text file by path
	paths   map[string]bool   // every file and directory
	top     []string          // the entries of the root
	deps    []dependency      // what loop is compiled with
	log     string            // the commit messages
}

// A source is a Go file.
type source struct {
	path string // with slashes, relative to the root
	text string
	file *ast.File
	tree *tree
}

// grow makes a tree of files given as path and text.
func grow(files map[string]string) *tree {
	t := &tree{
		fset:  token.NewFileSet(),
		texts: files,
		paths: map[string]bool{".": true},
	}
	for name := range files {
		for dir := name; dir != "."; dir = path.Dir(dir) {
			t.paths[dir] = true
		}
		if first, _, _ := strings.Cut(name, "/"); !slices.Contains(t.top, first) {
			t.top = append(t.top, first)
		}
		if strings.HasSuffix(name, ".go") && !strings.Contains(name, "testdata/") {
			t.parse(name, files[name])
		}
	}
	slices.Sort(t.top)
	slices.SortFunc(t.sources, func(a, b *source) int { return strings.Compare(a.path, b.path) })
	return t
}

func (t *tree) parse(name, text string) {
	mode := parser.ParseComments | parser.SkipObjectResolution
	file, err := parser.ParseFile(t.fset, name, text, mode)
	if err != nil {
		t.broken = append(t.broken, violation{name, 1, "does not parse: " + err.Error()})
		return
	}
	if !ast.IsGenerated(file) {
		t.sources = append(t.sources, &source{name, text, file, t})
	}
}

// load reads the repository.
func load(tb testing.TB, root string) *tree {
	tb.Helper()
	files, others := map[string]string{}, []string(nil)
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case rel == ".git" && d.IsDir():
			return fs.SkipDir
		case isText(rel) && d.Type().IsRegular():
			text, err := os.ReadFile(name)
			files[rel] = string(text)
			return err
		}
		others = append(others, rel)
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	t := grow(files)
	for _, name := range others {
		t.paths[name] = true
	}
	t.top = listTop(tb, root, files[".gitignore"])
	t.deps = listDeps(tb, root)
	t.log = git(root, "log", "--format=%h %s%n%b")
	return t
}

// isText reports whether rules read the file called name.
func isText(name string) bool {
	switch path.Ext(name) {
	case ".go", ".md", ".sh", ".yml", ".yaml", ".c", ".h", ".py":
		return true
	}
	return name == ".gitignore" || strings.HasPrefix(name, ".ci/")
}

// git returns what a git command prints, or nothing where git or a repository
// is missing: in a module cache, for one.
func git(root string, args ...string) string {
	if _, err := os.Stat(filepath.Join(root, ".git")); err != nil {
		return ""
	}
	cmd := exec.Command("git", args...)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// listTop returns the entries of the root: those in git, or else all that are
// not ignored.
func listTop(tb testing.TB, root, ignore string) []string {
	tb.Helper()
	var top []string
	for name := range strings.SplitSeq(git(root, "ls-files", "-z"), "\x00") {
		first, _, _ := strings.Cut(name, "/")
		if first != "" && !slices.Contains(top, first) {
			top = append(top, first)
		}
	}
	if top != nil {
		return top
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range entries {
		if !ignored(ignore, e.Name()) {
			top = append(top, e.Name())
		}
	}
	return top
}

// ignored reports whether the lines of a .gitignore match an entry of the root.
func ignored(ignore, name string) bool {
	for line := range strings.Lines(ignore) {
		pattern := strings.Trim(strings.TrimSpace(line), "/")
		if ok, err := path.Match(pattern, name); ok && err == nil {
			return true
		}
	}
	return false
}

// A dependency is a package that loop needs, and its module.
type dependency struct{ module, path string }

func listDeps(tb testing.TB, root string) []dependency {
	tb.Helper()
	cmd := exec.Command("go", "list", "-deps", "-f",
		"{{with .Module}}{{.Path}}{{end}} {{.ImportPath}}", "./loop")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=linux")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("go list -deps ./loop: %v\n%s", err, complaint.String())
	}
	return parseDeps(string(out))
}

// parseDeps reads lines of a module and a package. The standard library is in
// no module.
func parseDeps(out string) []dependency {
	var deps []dependency
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) == 2 {
			deps = append(deps, dependency{fields[0], fields[1]})
		}
	}
	return deps
}

func sourcesParse(t *tree) []violation { return t.broken }

func (s *source) dir() string          { return path.Dir(s.path) }
func (s *source) isTest() bool         { return strings.HasSuffix(s.path, "_test.go") }
func (s *source) isMain() bool         { return s.file.Name.Name == "main" }
func (s *source) line(p token.Pos) int { return s.tree.fset.Position(p).Line }

func (s *source) at(n ast.Node, message string) violation {
	return violation{s.path, s.line(n.Pos()), message}
}

// isKit reports whether s is of a package that serves tests, such as looptest, or of one
// of those that have nothing but tests, such as those below loop/tests.
func (s *source) isKit() bool { return isKit(s.dir()) }

func isKit(dir string) bool {
	for part := range strings.SplitSeq(dir, "/") {
		if strings.HasSuffix(part, "test") || part == "tests" {
			return true
		}
	}
	return false
}

// isLibrary reports whether programs that use sluice are compiled with s.
func (s *source) isLibrary() bool {
	return !s.isTest() && !under(s.dir(), "bench", "examples")
}

// under reports whether dir is one of tops or below one.
func under(dir string, tops ...string) bool {
	return slices.ContainsFunc(tops, func(top string) bool {
		return dir == top || strings.HasPrefix(dir, top+"/")
	})
}

// target returns the path that spec imports.
func target(spec *ast.ImportSpec) string {
	name, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return ""
	}
	return name
}

// ours returns the directory in this module that spec imports.
func ours(spec *ast.ImportSpec) (dir string, ok bool) {
	if target(spec) == module {
		return ".", true
	}
	return strings.CutPrefix(target(spec), module+"/")
}

// uses returns where s uses a name of the package at importPath that want
// accepts. A dot import is one use of everything.
func (s *source) uses(importPath string, want func(name string) bool) []ast.Node {
	local, found := "", []ast.Node(nil)
	for _, spec := range s.file.Imports {
		if target(spec) != importPath {
			continue
		}
		local = path.Base(importPath)
		if local == "v2" {
			local = path.Base(path.Dir(importPath))
		}
		if spec.Name != nil {
			local = spec.Name.Name
		}
		if local == "." {
			found = append(found, spec)
		}
	}
	if local == "" {
		return nil
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && want(sel.Sel.Name) {
			if id, ok := sel.X.(*ast.Ident); ok && id.Name == local {
				found = append(found, sel)
			}
		}
		return true
	})
	return found
}
