package docs

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// The limits of style.
const (
	functionLines     = 70
	testFunctionLines = 120
	fileLines         = 600
	lineColumns       = 100
	tabColumns        = 4
)

func functionLength(t *tree) []violation {
	var out []violation
	for _, s := range t.sources {
		limit := functionLines
		if s.isTest() {
			limit = testFunctionLines
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			name, body := "function literal", ast.Node(nil)
			switch f := n.(type) {
			case *ast.FuncDecl:
				name, body = f.Name.Name, f.Type
				if f.Body == nil {
					return false
				}
			case *ast.FuncLit:
				body = f
			default:
				return true
			}
			if lines := s.line(n.End()) - s.line(body.Pos()) + 1; lines > limit {
				message := fmt.Sprintf("%s has %d lines, the limit is %d", name, lines, limit)
				out = append(out, s.at(n, message))
			}
			return false
		})
	}
	return out
}

func lineLength(t *tree) []violation {
	var out []violation
	for _, s := range t.sources {
		number := 0
		for line := range strings.Lines(s.text) {
			number++
			line = strings.TrimRight(line, "\r\n")
			if n := columns(line); n > lineColumns && !unbreakable(line) {
				message := fmt.Sprintf("line of %d columns, the limit is %d", n, lineColumns)
				out = append(out, violation{s.path, number, message})
			}
		}
	}
	return out
}

func columns(line string) int {
	return utf8.RuneCountInString(line) + strings.Count(line, "\t")*(tabColumns-1)
}

// unbreakable reports whether no line break would help: a directive, or a URL
// or a struct tag that is too long by itself.
func unbreakable(line string) bool {
	trimmed := strings.TrimLeft(line, "\t ")
	if strings.HasPrefix(trimmed, "//go:") || strings.HasPrefix(trimmed, "//nolint:") {
		return true
	}
	indent := columns(line) - columns(trimmed)
	for word := range strings.FieldsSeq(trimmed) {
		alone := indent+columns(word) > lineColumns || trimmed == "// "+word
		if alone && strings.Contains(word, "://") {
			return true
		}
	}
	tag := strings.IndexByte(trimmed, '`')
	return tag >= 0 && strings.HasSuffix(trimmed, "`") &&
		indent+columns(trimmed[tag:]) > lineColumns
}

func fileLength(t *tree) []violation {
	var out []violation
	for _, s := range t.sources {
		if lines := strings.Count(s.text, "\n"); lines > fileLines {
			message := fmt.Sprintf("has %d lines, the limit is %d", lines, fileLines)
			out = append(out, violation{s.path, lines, message})
		}
	}
	return out
}

// unfinished is split so that it does not find itself.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b`)

func nothingUnfinished(t *tree) []violation {
	var out []violation
	for _, s := range t.sources {
		for _, group := range s.file.Comments {
			for _, comment := range group.List {
				if mark := unfinished.FindString(comment.Text); mark != "" {
					out = append(out, s.at(comment, mark+" in a comment: do it or file an issue"))
				}
			}
		}
	}
	return out
}

func packageNames(t *tree) []violation {
	var out []violation
	nameless := []string{"util", "utils", "common", "helper", "helpers", "misc"}
	for _, s := range t.sources {
		name, dir := strings.TrimSuffix(s.file.Name.Name, "_test"), path.Base(s.dir())
		if slices.Contains(nameless, name) || slices.Contains(nameless, dir) {
			out = append(out, s.at(s.file.Name, "package "+name+" in "+dir+
				" says nothing: name it for what it does"))
		}
	}
	return out
}

// sleepers are the files of tests that may sleep, each with the reason: why
// nothing but the passing of real time will do.
var sleepers = map[string]string{}

func noSleepInTests(t *tree) []violation { return sleeps(t, sleepers) }

// sleeps finds sleeps in tests that are not allowed, and allowances that are
// without a reason or of no use.
func sleeps(t *tree, allowed map[string]string) []violation {
	var out []violation
	for _, s := range t.sources {
		if !s.isTest() && !s.isKit() {
			continue
		}
		uses := s.uses("time", func(name string) bool { return name == "Sleep" })
		reason, listed := allowed[s.path]
		if listed && (len(uses) == 0 || reason == "") {
			out = append(out, violation{s.path, 0, "is listed as a sleeper without need or reason"})
		}
		for _, use := range uses {
			if !listed {
				out = append(out, s.at(use, "sleeps: wait for what is to happen instead"))
			}
		}
	}
	return out
}

// skipsNameWhatIsMissing looks at the calls of Skip on testing's types. A test
// may leave itself out under -short; else it says "needs " and a capability.
func skipsNameWhatIsMissing(t *tree) []violation {
	var out []violation
	for _, s := range t.sources {
		if !s.isTest() && !s.isKit() {
			continue
		}
		short := s.uses("testing", func(name string) bool { return name == "Short" })
		ast.Inspect(s.file, func(n ast.Node) bool {
			if branch, ok := n.(*ast.IfStmt); ok && containsAny(branch.Cond, short) {
				return false
			}
			if call, ok := n.(*ast.CallExpr); ok && isSkip(call) && !namesNeed(call) {
				out = append(out, s.at(call, `skips without "needs " and what is missing`))
			}
			return true
		})
	}
	return out
}

func containsAny(expr ast.Expr, nodes []ast.Node) bool {
	found := false
	ast.Inspect(expr, func(n ast.Node) bool {
		found = found || n != nil && slices.Contains(nodes, n)
		return !found
	})
	return found
}

func isSkip(call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && (sel.Sel.Name == "Skip" || sel.Sel.Name == "Skipf" || sel.Sel.Name == "SkipNow")
}

// namesNeed reports whether the text begins with "needs ", alone or as the
// left end of a sum or the format of a Sprintf.
func namesNeed(call *ast.CallExpr) bool {
	if len(call.Args) == 0 {
		return false
	}
	switch arg := call.Args[0].(type) {
	case *ast.BasicLit:
		text := strings.Trim(arg.Value, "\"`")
		return strings.HasPrefix(text, "needs ") || text == "needs" && len(call.Args) > 1
	case *ast.BinaryExpr:
		return namesNeed(&ast.CallExpr{Args: []ast.Expr{arg.X}})
	case *ast.CallExpr:
		return namesNeed(arg)
	}
	return false
}
