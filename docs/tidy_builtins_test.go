package docs

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// memberNames are the builtins that a method or a field may be called like: it is
// reached through its owner, and means there what the builtin means.
var memberNames = []string{"append", "cap", "clear", "close", "copy", "delete", "len", "new",
	"print"}

// builtinsShadowed are the declarations that take the name of a builtin. Whoever reads
// min(a, b) below one has to look up which min that is.
func builtinsShadowed(t *tree) []violation {
	var out []violation
	for _, s := range t.sources {
		members := membersOf(s.file)
		for _, name := range declared(s.file) {
			allowed := members[name] && slices.Contains(memberNames, name.Name)
			if types.Universe.Lookup(name.Name) != nil && !allowed {
				out = append(out, s.at(name, name.Name+" is a builtin: choose another name"))
			}
		}
	}
	return out
}

// membersOf are the names of methods and fields, not those of parameters.
func membersOf(file *ast.File) map[*ast.Ident]bool {
	members := map[*ast.Ident]bool{}
	note := func(list *ast.FieldList) {
		for _, field := range list.List {
			for _, name := range field.Names {
				members[name] = true
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			members[n.Name] = n.Recv != nil
		case *ast.StructType:
			note(n.Fields)
		case *ast.InterfaceType:
			note(n.Methods)
		}
		return true
	})
	return members
}

// declared are the names that a file declares, in their order.
func declared(file *ast.File) []*ast.Ident {
	var names []*ast.Ident
	define := func(tok token.Token, left ...ast.Expr) {
		for _, expr := range left {
			if name, ok := expr.(*ast.Ident); ok && tok == token.DEFINE {
				names = append(names, name)
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			names = append(names, n.Name)
		case *ast.TypeSpec:
			names = append(names, n.Name)
		case *ast.ValueSpec:
			names = append(names, n.Names...)
		case *ast.Field:
			names = append(names, n.Names...)
		case *ast.ImportSpec:
			if n.Name != nil {
				names = append(names, n.Name)
			}
		case *ast.AssignStmt:
			define(n.Tok, n.Lhs...)
		case *ast.RangeStmt:
			define(n.Tok, n.Key, n.Value)
		}
		return true
	})
	return names
}

var builtinFaults = []fault{
	{"NoBuiltinIsShadowed",
		one("a/a.go", "package a\nfunc f(max int) {}\n"), "a/a.go:2",
		one("a/a.go", "package a\nfunc f(limit int) {}\n")},
	{"NoBuiltinIsShadowed",
		one("a/a.go", "package a\nfunc f() (new int) { return }\n"), "a/a.go:2",
		one("a/a.go", "package a\ntype t struct{ len int }\n")},
	{"NoBuiltinIsShadowed",
		one("a/a.go", "package a\ntype t struct{ min int }\n"), "a/a.go:2",
		one("a/a.go", "package a\ntype t interface{ close() }\n")},
	{"NoBuiltinIsShadowed",
		one("a/a.go", "package a\nfunc (t) recover() {}\n"), "a/a.go:2",
		one("a/a.go", "package a\nfunc (t) close() {}\n")},
	{"NoBuiltinIsShadowed",
		one("a/a.go", "package a\nfunc close() {}\n"), "a/a.go:2",
		one("a/a.go", "package a\nfunc f() { n := len(s); n = cap(s) }\n")},
	{"NoBuiltinIsShadowed",
		inBody("a/a.go", "", "for cap := range s {}"), "a/a.go:4",
		inBody("a/a.go", "", "for _, b := range s {}")},
	{"NoBuiltinIsShadowed",
		inBody("a/a.go", "", "real, ok := f()"), "a/a.go:4",
		inBody("a/a.go", "", "got, ok := f()")},
	{"NoBuiltinIsShadowed",
		one("a/a.go", "package a\nimport any \"fmt\"\n"), "a/a.go:2",
		one("a/a.go", "package a\nimport fmt2 \"fmt\"\n")},
	{"NoBuiltinIsShadowed",
		one("a/a.go", "package a\nvar string = 1\n"), "a/a.go:2",
		one("a/a.go", "package a\nvar text string\n")},
	{"NoBuiltinIsShadowed",
		one("a/a.go", "package a\ntype byte int\n"), "a/a.go:2",
		one("a/a.go", "package a\ntype t byte\n")},
}
