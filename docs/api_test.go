package docs

import (
	"flag"
	"fmt"
	"go/importer"
	"go/token"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// apiFile lists every exported name that a program can use, one on a line. A change of
// it is a change of the public API, and is reviewed as one.
const apiFile = "api.txt"

// howToUpdate is what makes the file anew.
const howToUpdate = "go test ./docs -run TestThePublicAPIIsTheListedOne -update"

var update = flag.Bool("update", false,
	"write "+apiFile+", or the last column of "+contractDoc+", anew from the sources")

func TestThePublicAPIIsTheListedOne(t *testing.T) {
	lines := publicAPI(t)
	if *update {
		text := strings.Join(lines, "\n") + "\n"
		if err := os.WriteFile(apiFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(apiFile)
	if err != nil {
		t.Fatalf("%v\nTo make it: %s", err, howToUpdate)
	}
	recorded := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if diff := compareLines(recorded, lines); diff != "" {
		t.Errorf("the public API differs from docs/%s:\n%s"+
			"If that is intended, say so in CHANGELOG.md, and update the list:\n\t%s",
			apiFile, diff, howToUpdate)
	}
}

// publicAPI lists the API of all public packages, by what the compiler made of them.
func publicAPI(t *testing.T) []string {
	t.Helper()
	public, files := listPublic(t)
	if len(public) == 0 {
		t.Fatal("found no public package")
	}
	compiled := importer.ForCompiler(token.NewFileSet(), "gc",
		func(name string) (io.ReadCloser, error) { return os.Open(files[name]) })
	var lines []string
	for _, name := range public {
		pkg, err := compiled.Import(name)
		if err != nil {
			t.Fatalf("import %s: %v", name, err)
		}
		lines = append(lines, apiOf(pkg)...)
	}
	slices.Sort(lines)
	return lines
}

// listPublic returns the packages of this module that a program can import, and for all
// that they depend on the files with their exported names.
func listPublic(t *testing.T) (public []string, files map[string]string) {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps",
		"-f", "{{.ImportPath}} {{.Name}} {{.Export}}", "./...")
	cmd.Dir = ".."
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list -export: %v\n%s", err, complaint.String())
	}
	files = map[string]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue // unsafe, and this package, have nothing compiled
		}
		files[fields[0]] = fields[2]
		if isPublic(fields[0], fields[1]) {
			public = append(public, fields[0])
		}
	}
	return public, files
}

// isPublic reports whether the package at path, called name, is for programs to import.
func isPublic(path, name string) bool {
	dir, own := strings.CutPrefix(path, module+"/")
	switch {
	case !own, name == "main", under(dir, "bench", "examples", "docs", "loop/tests"):
		return false
	}
	return !slices.Contains(strings.Split(dir, "/"), "internal")
}

// compareLines returns what has to be taken away from one list and added to it to make it
// the other, both of them sorted, or "" if they are the same.
func compareLines(was, is []string) string {
	var diff strings.Builder
	for len(was) > 0 || len(is) > 0 {
		switch {
		case len(is) == 0 || len(was) > 0 && was[0] < is[0]:
			fmt.Fprintf(&diff, "-%s\n", was[0])
			was = was[1:]
		case len(was) == 0 || is[0] < was[0]:
			fmt.Fprintf(&diff, "+%s\n", is[0])
			is = is[1:]
		default:
			was, is = was[1:], is[1:]
		}
	}
	return diff.String()
}

func TestLinesAreCompared(t *testing.T) {
	for _, c := range []struct {
		old, new, diff string
	}{
		{"a b c", "a b c", ""},
		{"a b c", "a c", "-b\n"},
		{"a c", "a b c", "+b\n"},
		{"a b c", "a d", "-b\n-c\n+d\n"},
		{"b", "", "-b\n"},
		{"", "b c", "+b\n+c\n"},
		{"a a", "a", "-a\n"},
	} {
		got := compareLines(strings.Fields(c.old), strings.Fields(c.new))
		if got != c.diff {
			t.Errorf("compareLines(%q, %q) = %q, want %q", c.old, c.new, got, c.diff)
		}
	}
}

func TestPublicIsWhatAProgramCanImport(t *testing.T) {
	for path, want := range map[string]bool{
		"/loop": true, "/loop/stream": true, "/transport/transporttest": true,
		"/loop/internal/fdio": false, "/transport/pressure/internal/chart": false,
		"/bench": false, "/examples/tcp-proxy": false, "/docs": false, "/loop/tests/rig": false,
	} {
		if got := isPublic(module+path, "name"); got != want {
			t.Errorf("isPublic(%q) = %v, want %v", path, got, want)
		}
	}
	if isPublic(module+"/transport/pressure/sluicetop", "main") {
		t.Error("a program can be imported")
	}
	if isPublic("golang.org/x/sys/unix", "unix") {
		t.Error("a package of another module is ours")
	}
}
