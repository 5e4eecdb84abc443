package docs

import (
	"fmt"
	"go/ast"
	"go/types"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// callsFile lists the system calls of a loop's thread.
const callsFile = "docs/system-calls.md"

// looping are the packages whose code runs on a loop's goroutine, and on others besides.
var looping = []string{
	"loop", "loop/internal/arena", "loop/internal/child", "loop/internal/epoll",
	"loop/internal/fdio", "loop/internal/filecopy", "loop/internal/iouring",
	"loop/internal/opener", "loop/internal/page",
	"loop/internal/proactor", "loop/internal/registry", "loop/internal/relay",
	"loop/internal/resolve",
	"loop/internal/sys", "loop/internal/tlsio",
	"loop/stream", "subprocess", "transport", "transport/flowpage", "uring",
}

// kernelward are the packages whose functions and methods may make system calls.
var kernelward = []string{
	"golang.org/x/sys/unix", "github.com/iceber/iouring-go/syscall",
	"syscall", "os", "os/exec", "os/signal", "net", "path/filepath", "crypto/x509",
}

// harmless are those of them that make none.
var harmless = []string{
	"Errno", "Signal", "NewSyscallError", "Getpagesize", "Getenv", "Environ",
	"CmsgLen", "CmsgSpace", "ParseSocketControlMessage", "ParseUnixRights", "Mkdev",
	"Major", "Minor", "IsAbs", "SplitList",
	"ByteSliceFromString", "BytePtrFromString", "UnknownNetworkError",
	"TCPAddrFromAddrPort", "UDPAddrFromAddrPort", "SplitHostPort", "JoinHostPort",
	"Error", "String", "Network", "AddrPort", "Is", "Timeout", "Temporary", "Unwrap",
	"Signaled", "ExitCode", "Sys", "SetLen", "SetControllen", "SetIovlen", "IsDir",
	"Name", "Mode", "Size", "ModTime", "Type", "Perm", "IsRegular", "ExitStatus", "Join",
}

// made are the calls of the tree as the sources have them, a number of a system call for
// Syscall and its like. The value is the packages that make it.
func made(t *tree, names *typeChecker) map[string][]string {
	found := map[string][]string{}
	for _, s := range t.sources {
		if s.isTest() || s.isKit() || !slices.Contains(looping, s.dir()) {
			continue
		}
		names.check(s.dir())
		note := func(call string) {
			if call != "" && !slices.Contains(found[call], s.dir()) {
				found[call] = append(found[call], s.dir())
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(sel.Sel.Name, "SYS_") {
				note(sel.Sel.Name)
			}
			if call, ok := n.(*ast.CallExpr); ok {
				if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
					note(callee(s, names, sel))
				}
			}
			if value, ok := n.(*ast.ValueSpec); ok { // a function that is kept, to be called
				for _, v := range value.Values {
					if sel, ok := v.(*ast.SelectorExpr); ok && isFunction(names, sel) {
						note(callee(s, names, sel))
					}
				}
			}
			return true
		})
	}
	for _, dirs := range found {
		slices.Sort(dirs)
	}
	return found
}

// callee names what is called where that may make a system call.
func callee(s *source, names *typeChecker, sel *ast.SelectorExpr) string {
	name := ""
	switch {
	case slices.Contains(harmless, sel.Sel.Name):
		return ""
	case s.dir() == "loop/internal/iouring" && strings.HasPrefix(sel.Sel.Name, "Prep"):
		return "SQE." + sel.Sel.Name
	}
	if id, isName := sel.X.(*ast.Ident); isName {
		if from := importOf(s, id.Name); slices.Contains(kernelward, from) {
			name = path.Base(from) + "." + sel.Sel.Name
		}
	}
	if name == "" {
		if from := typeOf(names.info.Types[sel.X].Type); from != nil && from.Pkg() != nil &&
			slices.Contains(kernelward, from.Pkg().Path()) {
			name = from.Pkg().Name() + "." + from.Name() + "." + sel.Sel.Name
		}
	}
	if strings.Contains(name, "Syscall") && !strings.Contains(name, "SyscallConn") {
		return "" // the number says which
	}
	return name
}

func isFunction(names *typeChecker, e ast.Expr) bool {
	_, ok := names.info.Types[e].Type.(*types.Signature)
	return ok
}

// typeOf is the name of a type, or of what it points to, or nil.
func typeOf(t types.Type) *types.TypeName {
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	if n, ok := t.(*types.Named); ok {
		return n.Obj()
	}
	return nil
}

// importOf is the path of the package that a source calls name, or "".
func importOf(s *source, name string) string {
	for _, spec := range s.file.Imports {
		as := path.Base(target(spec))
		if spec.Name != nil {
			as = spec.Name.Name
		}
		if as == name {
			return target(spec)
		}
	}
	return ""
}

// listed are the rows of the document: what stands in its first two columns, and what is
// wrong with rows.
func listed(text string) (rows map[string][]string, wrong []violation) {
	rows = map[string][]string{}
	for i, line := range strings.Split(text, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		call := strings.Trim(strings.TrimSpace(cells[1]), "`")
		switch {
		case rows[call] != nil:
			wrong = append(wrong, violation{callsFile, i + 1, call + " has a row already"})
		case len(cells) != 5 || strings.TrimSpace(cells[3]) == "":
			wrong = append(wrong, violation{callsFile, i + 1, call + " has no reason"})
		}
		rows[call] = strings.Fields(cells[2])
	}
	return rows, wrong
}

// unlisted compares the sources with the document.
func unlisted(t *tree, names *typeChecker) []violation {
	rows, wrong := listed(t.texts[callsFile])
	found := made(t, names)
	for _, call := range slices.Sorted(maps.Keys(found)) {
		got, want := strings.Join(rows[call], " "), strings.Join(found[call], " ")
		if got != want {
			wrong = append(wrong, violation{callsFile, 0, fmt.Sprintf(
				"%s is called in %q and listed for %q: say why it does not wait there",
				call, want, got)})
		}
	}
	for _, call := range slices.Sorted(maps.Keys(rows)) {
		if found[call] == nil {
			wrong = append(wrong, violation{callsFile, 0, call + " is listed and not called"})
		}
	}
	return wrong
}

func TestEverySystemCallIsListed(t *testing.T) {
	tree, names := loadOnce(t)
	for _, v := range unlisted(tree, names) {
		t.Error(v)
	}
}

func TestUnlistedSystemCallsFire(t *testing.T) {
	const row = "| `%s` | %s | because |\n"
	for _, f := range []struct {
		name, imports, body, call, where string
	}{
		{"loop/a.go", `import "os"`, `os.Remove("x")`, "os.Remove", "loop"},
		{"loop/a.go", `import "os"`, "var f *os.File; f.Close()", "os.File.Close", "loop"},
		{"loop/internal/sys/a.go", `import "golang.org/x/sys/unix"`, "unix.Close(3)",
			"unix.Close", "loop/internal/sys"},
		{"uring/a.go", `import s "syscall"`, "s.RawSyscall(s.SYS_SENDMSG, 1, 2, 3)",
			"SYS_SENDMSG", "uring"},
	} {
		source := inBody(f.name, f.imports, f.body)
		check := func(text string) []violation {
			source[callsFile] = text
			tree := grow(source)
			return unlisted(tree, newNames(t, tree))
		}
		good := fmt.Sprintf(row, f.call, f.where)
		for _, v := range check(good) {
			t.Error("fires without reason:", v)
		}
		for _, bad := range []string{"", fmt.Sprintf(row, f.call, "elsewhere"),
			good + fmt.Sprintf(row, "unix.Sync", "loop"), good + good,
			fmt.Sprintf("| `%s` | %s | |\n", f.call, f.where)} {
			wantOne(t, check(bad), callsFile)
		}
	}
}
