package docs

import (
	"go/ast"
	"go/token"
	"go/types"
	"testing"
)

// laterFile is where times and durations are added.
const laterFile = "loop/internal/proactor/later.go"

// rawAdditions are the sums and products of durations that are not constants, in what
// programs that use sluice are compiled with. A user's duration may be near the end of
// the range, and wraps: "for ever" is over at once. proactor.Later does not.
func rawAdditions(t *tree, names *typeChecker) []violation {
	var out []violation
	for _, s := range t.sources {
		if !s.isLibrary() || s.isKit() || s.path == laterFile ||
			under(s.dir(), "loop/internal/simio") || // whose users are tests
			!under(s.dir(), "loop", "subprocess", "uring") {
			continue
		}
		names.check(s.dir())
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				v := names.info.Types[n]
				grows := n.Op == token.ADD || n.Op == token.MUL
				if grows && v.Value == nil && isDuration(v.Type) {
					out = append(out, s.at(n, "adds to a duration: use proactor.Later"))
				}
			case *ast.AssignStmt:
				grows := n.Tok == token.ADD_ASSIGN || n.Tok == token.MUL_ASSIGN
				if grows && isDuration(names.info.Types[n.Lhs[0]].Type) {
					out = append(out, s.at(n, "adds to a duration: use proactor.Later"))
				}
			}
			return true
		})
	}
	return out
}

func isDuration(t types.Type) bool { return t != nil && t.String() == "time.Duration" }

// measured are the files that add what is measured or bounded, and what no user sets:
// why it cannot reach the end of the range.
var measured = map[string]string{
	"loop/internal/epoll/linux.go":         "a millisecond more than less than the longest wait",
	"loop/internal/fdio/datagram_write.go": "a pause of restMax at most",
	"loop/internal/iouring/spin.go":        "a moving average of spins",
	"loop/internal/filecopy/copy.go":       "a pause of roomPauseMax at most",
	"loop/internal/watchdog/watchdog.go":   "how long callbacks took",
}

func TestDurationsAreAddedInOnePlace(t *testing.T) {
	tree, names := loadOnce(t)
	used := map[string]bool{}
	for _, v := range rawAdditions(tree, names) {
		if measured[v.file] != "" {
			used[v.file] = true
			continue
		}
		t.Error(v)
	}
	for file := range measured {
		if !used[file] {
			t.Errorf("%s adds no durations any more: take it off the list", file)
		}
	}
}

func TestAddedDurationsFire(t *testing.T) {
	const name = "loop/a.go"
	for body, line := range map[string]string{
		"var d time.Duration; _ = time.Second + d": "4", "var d time.Duration; d += 1": "4",
		"n := 3; _ = time.Duration(n) * time.Second": "4",
		"_ = 3 * time.Second + time.Minute":          "", "n := 3; _ = n * n": "",
		"var d time.Duration; _ = d - 1": "",
	} {
		tree := grow(inBody(name, `import "time"`, body))
		got := rawAdditions(tree, newNames(t, tree))
		if line == "" {
			for _, v := range got {
				t.Error("fires without reason:", v)
			}
			continue
		}
		wantOne(t, got, name+":"+line)
	}
}
