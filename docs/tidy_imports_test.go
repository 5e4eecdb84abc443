package docs

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// imports returns a violation for each import that complain has something to
// say of.
func (t *tree) imports(complain func(s *source, spec *ast.ImportSpec) string) []violation {
	var out []violation
	for _, s := range t.sources {
		for _, spec := range s.file.Imports {
			if message := complain(s, spec); message != "" {
				out = append(out, s.at(spec, message))
			}
		}
	}
	return out
}

// leaves are the packages that know no other of ours, but those listed.
var leaves = map[string][]string{
	"transport":          nil,
	"transport/flowpage": nil,
	"protocol":           {"transport"},
	"uring":              nil,

	"loop/internal/tlsio": {"loop/internal/guard", "transport", "protocol"},
}

func contractsAreLeaves(t *tree) []violation {
	return t.imports(func(s *source, spec *ast.ImportSpec) string {
		allowed, leaf := leaves[s.dir()]
		dir, own := ours(spec)
		if !leaf || !own || s.isTest() || slices.Contains(allowed, dir) {
			return ""
		}
		return fmt.Sprintf("%s is a leaf and may not import %s", s.dir(), dir)
	})
}

// kernel are the packages that talk to the kernel; all else is deterministic.
var kernel = []string{
	"uring", "loop/internal/iouring", "loop/internal/epoll", "loop/internal/sys",
	"loop/internal/page", "transport/pressure", "transport/flowpage",
}

func kernelIsImportedBelow(t *tree) []violation {
	return t.imports(func(s *source, spec *ast.ImportSpec) string {
		if !s.isLibrary() || under(s.dir(), kernel...) {
			return ""
		}
		if !under(target(spec), "golang.org/x/sys", "github.com/iceber/iouring-go") {
			return ""
		}
		return fmt.Sprintf("%s may not import %s: only %s talk to the kernel",
			s.dir(), target(spec), strings.Join(kernel, ", "))
	})
}

func noRawSystemCalls(t *tree) []violation {
	var out []violation
	raw := func(name string) bool {
		return strings.HasPrefix(name, "Syscall") || strings.HasPrefix(name, "RawSyscall") ||
			strings.HasPrefix(name, "AllThreadsSyscall")
	}
	for _, s := range t.sources {
		if !s.isLibrary() || under(s.dir(), kernel...) {
			continue
		}
		for _, use := range s.uses("syscall", raw) {
			out = append(out, s.at(use, "makes a system call by number outside "+
				strings.Join(kernel, ", ")))
		}
	}
	return out
}

// importers names who may import an internal package; its tests, programs
// that measure, and what is below it may too.
var importers = map[string][]string{
	"loop/internal/iouring": {"loop", "loop/looptest"},
	"loop/internal/epoll":   {"loop", "loop/looptest"},
	"loop/internal/simio":   {"loop/looptest"},
}

// blind must not know that the ring exists: they see the contract only.
var blind = []string{"loop", "loop/internal/fdio", "loop/internal/proactor"}

func enginesStayBehindTheContract(t *tree) []violation {
	return t.imports(func(s *source, spec *ast.ImportSpec) string {
		dir, own := ours(spec)
		if !own || !s.isLibrary() {
			return ""
		}
		if dir == "uring" && slices.Contains(blind, s.dir()) {
			return s.dir() + " may not import uring: it sees engines through their contract"
		}
		allowed, limited := importers[dir]
		if !limited || under(s.dir(), dir) || slices.Contains(allowed, s.dir()) {
			return ""
		}
		return fmt.Sprintf("%s may not import %s: only %s may",
			s.dir(), dir, strings.Join(allowed, ", "))
	})
}

func oneFileChoosesTheEngine(t *tree) []violation {
	chooser := ""
	return t.imports(func(s *source, spec *ast.ImportSpec) string {
		dir, own := ours(spec)
		if !own || s.isTest() || s.dir() != "loop" {
			return ""
		}
		if dir != "loop/internal/iouring" && dir != "loop/internal/epoll" {
			return ""
		}
		if chooser == "" {
			chooser = s.path
		}
		if chooser == s.path {
			return ""
		}
		return fmt.Sprintf("imports %s, but %s chooses the engine", dir, chooser)
	})
}

// observers look at sluice from outside, and are what only they need.
var observers = []string{
	module + "/transport/pressure", module + "/loop/looptest", "github.com/cilium/ebpf",
	"charm.land", "github.com/prometheus", "github.com/google/pprof",
}

func nothingImportsObservers(t *tree) []violation {
	return t.imports(func(s *source, spec *ast.ImportSpec) string {
		if !under(target(spec), observers...) || !s.isLibrary() || s.isMain() {
			return ""
		}
		if s.isKit() || under(s.dir(), "transport/pressure") {
			return ""
		}
		return fmt.Sprintf("%s may not import %s: it is for tests and tools",
			s.dir(), target(spec))
	})
}

func libraryImportsNoTestKit(t *tree) []violation {
	return t.imports(func(s *source, spec *ast.ImportSpec) string {
		if !s.isLibrary() || s.isKit() {
			return ""
		}
		dir, own := ours(spec)
		if target(spec) == "testing" || own && isKit(dir) {
			return fmt.Sprintf("%s may not import %s: it is for tests", s.dir(), target(spec))
		}
		return ""
	})
}

// rig is what the tests of loop share: no promise to anybody else.
const rig = "loop/tests/rig"

func onlyTestsImportTheRig(t *tree) []violation {
	return t.imports(func(s *source, spec *ast.ImportSpec) string {
		if dir, own := ours(spec); !own || dir != rig || s.isTest() {
			return ""
		}
		return rig + " is for the tests of loop: no other file may import it"
	})
}

func loopDependsOnTwoModules(t *tree) []violation {
	var out []violation
	for _, d := range t.deps {
		switch {
		case d.module == module, d.module == "golang.org/x/sys":
		case d.path == "github.com/iceber/iouring-go/syscall":
		default:
			out = append(out, violation{"loop", 0, "depends on " + d.path})
		}
	}
	return out
}
