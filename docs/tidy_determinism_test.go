package docs

import (
	"go/ast"
	"go/types"
	"path"
	"slices"
	"strings"
)

// deterministic are the packages below loop: one seed, one history. The clock
// that the engines read is in loop/internal/sys.
var deterministic = []string{
	"loop/internal/fdio", "loop/internal/guard", "loop/internal/proactor",
	"loop/internal/simio",
	"loop/internal/iouring", "loop/internal/epoll", "loop/internal/arena",
	"loop/internal/tlsio",
}

// below returns the sources that must be deterministic.
func (t *tree) below() []*source {
	var out []*source
	for _, s := range t.sources {
		if under(s.dir(), deterministic...) && !s.isTest() && !s.isKit() {
			out = append(out, s)
		}
	}
	return out
}

// belowUses returns a violation for each use, below loop, of a name of the
// packages that want accepts.
func (t *tree) belowUses(message string, want func(string) bool, packages ...string) []violation {
	var out []violation
	for _, s := range t.below() {
		for _, p := range packages {
			for _, use := range s.uses(p, want) {
				out = append(out, s.at(use, message))
			}
		}
	}
	return out
}

// belowNodes returns a violation for each node, below loop, that is of type N.
func belowNodes[N ast.Node](t *tree, message string) []violation {
	var out []violation
	for _, s := range t.below() {
		ast.Inspect(s.file, func(n ast.Node) bool {
			if _, ok := n.(N); ok {
				out = append(out, s.at(n, message))
			}
			return true
		})
	}
	return out
}

func noWallClock(t *tree) []violation {
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick",
		"NewTimer", "NewTicker"}
	return t.belowUses("reads the wall clock: below loop, time is Proactor.Now",
		func(name string) bool { return slices.Contains(clock, name) }, "time")
}

func noGlobalRandom(t *tree) []violation {
	own := []string{"New", "NewSource", "NewZipf", "NewPCG", "NewChaCha8",
		"Rand", "Source", "Source64", "Zipf", "PCG", "ChaCha8"}
	return t.belowUses("draws from the global generator: pass a seeded one",
		func(name string) bool { return !slices.Contains(own, name) },
		"math/rand", "math/rand/v2")
}

func noSelect(t *tree) []violation {
	return belowNodes[*ast.SelectStmt](t, "selects: which case is taken is random")
}

func noGoroutine(t *tree) []violation {
	return belowNodes[*ast.GoStmt](t, "starts a goroutine below loop")
}

// noMapIteration finds ranges over maps, by type, and the iterators of package
// maps unless they go straight into a sort.
func noMapIteration(t *tree) []violation {
	var out []violation
	c := newTypeChecker(t)
	for _, s := range t.below() {
		c.check(s.dir())
		sorted, iterators := sortedArguments(s), s.uses("maps", isMapIterator)
		ast.Inspect(s.file, func(n ast.Node) bool {
			if r, ok := n.(*ast.RangeStmt); ok && hasMap(c.info.Types[r.X].Type) {
				out = append(out, s.at(r, "ranges over a map: its order is random"))
			}
			if call, ok := n.(*ast.CallExpr); ok && !sorted[call] &&
				slices.Contains(iterators, ast.Node(call.Fun)) {
				out = append(out, s.at(call, "iterates over a map: its order is random"))
			}
			return true
		})
	}
	return out
}

func isMapIterator(name string) bool { return name == "Keys" || name == "Values" || name == "All" }

// sortedArguments returns the arguments of slices.Sorted and its like.
func sortedArguments(s *source) map[ast.Expr]bool {
	sorts := s.uses("slices", func(name string) bool { return strings.HasPrefix(name, "Sorted") })
	sorted := map[ast.Expr]bool{}
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if ok && len(call.Args) > 0 && slices.Contains(sorts, ast.Node(call.Fun)) {
			sorted[call.Args[0]] = true
		}
		return true
	})
	return sorted
}

// hasMap reports whether t is a map, or a type parameter that may be one.
func hasMap(t types.Type) bool {
	if t == nil {
		return false
	}
	switch u := t.Underlying().(type) {
	case *types.Map:
		return true
	case *types.Union:
		for term := range u.Terms() {
			if hasMap(term.Type()) {
				return true
			}
		}
	case *types.Interface:
		for embedded := range u.EmbeddedTypes() {
			if hasMap(embedded) {
				return true
			}
		}
	}
	return false
}

// A typeChecker finds the types in our own packages. All others are empty to
// it, so it takes milliseconds, and what has a foreign type has none; unless
// standard imports those of the standard library. It does not complain: the
// compiler does that.
type typeChecker struct {
	tree     *tree
	info     types.Info
	done     map[string]*types.Package
	standard types.Importer // or nil
}

func newTypeChecker(t *tree) *typeChecker {
	return &typeChecker{
		tree: t,
		info: types.Info{Types: map[ast.Expr]types.TypeAndValue{}},
		done: map[string]*types.Package{},
	}
}

// Import is that of types.Importer.
func (c *typeChecker) Import(name string) (*types.Package, error) {
	if dir, ok := strings.CutPrefix(name, module+"/"); ok {
		return c.check(dir), nil
	}
	if c.standard != nil && isStandard(name) {
		return c.standard.Import(name)
	}
	foreign := types.NewPackage(name, path.Base(name))
	foreign.MarkComplete()
	return foreign, nil
}

func (c *typeChecker) check(dir string) *types.Package {
	if done := c.done[dir]; done != nil {
		return done
	}
	name := module + "/" + dir
	c.done[dir] = types.NewPackage(name, path.Base(dir)) // where imports go in a circle
	config := types.Config{Importer: c, Error: func(error) {}}
	checked, _ := config.Check(name, c.tree.fset, c.filesIn(dir), &c.info)
	c.done[dir] = checked
	return checked
}

func (c *typeChecker) filesIn(dir string) []*ast.File {
	var files []*ast.File
	for _, s := range c.tree.sources {
		if s.dir() == dir && !s.isTest() {
			files = append(files, s.file)
		}
	}
	return files
}

var _ types.Importer = (*typeChecker)(nil)
