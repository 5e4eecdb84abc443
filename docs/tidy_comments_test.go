package docs

import (
	"fmt"
	"go/ast"
	"maps"
	"regexp"
	"slices"
)

// docComments wants a comment for every exported name: functions, methods,
// types, constants, variables, fields and the methods of interfaces. A comment
// over neighbours with no blank line between them is one for all. That of a
// type also speaks for the members that it names, and for one or two members.
func docComments(t *tree) []violation {
	var out []violation
	for _, s := range t.sources {
		if s.isTest() || s.isMain() {
			continue
		}
		for _, decl := range s.file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) {
					out = append(out, s.undocumented(d.Name))
				}
			case *ast.GenDecl:
				out = append(out, s.undocumentedSpecs(d)...)
			}
		}
	}
	return out
}

func (s *source) undocumented(name *ast.Ident) violation {
	return s.at(name, fmt.Sprintf("%s has no doc comment", name.Name))
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	return ast.IsExported(baseName(d.Recv.List[0].Type))
}

// baseName returns T for T, *T, T[P] and T[P, Q].
func baseName(expr ast.Expr) string {
	switch e := expr.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return baseName(e.X)
	case *ast.ParenExpr:
		return baseName(e.X)
	case *ast.IndexExpr:
		return baseName(e.X)
	case *ast.IndexListExpr:
		return baseName(e.X)
	}
	return ""
}

// An item is what can have a comment: a field, a method or a specification.
type item struct {
	node    ast.Node
	comment bool
	names   []*ast.Ident
}

// missing returns the exported names that no comment speaks for, of items that
// begin on the line open.
func (s *source) missing(open int, items []item) []*ast.Ident {
	var out []*ast.Ident
	spoken, last := false, open
	for _, it := range items {
		start := s.line(it.node.Pos())
		neighbour := start == last+1
		spoken = it.comment || s.commentBetween(last, start) || spoken && neighbour
		last = s.line(it.node.End())
		for _, name := range it.names {
			if name.IsExported() && !spoken {
				out = append(out, name)
			}
		}
	}
	return out
}

// commentBetween reports whether a comment stands between two lines: one that
// opens a section, with a blank line below it.
func (s *source) commentBetween(after, before int) bool {
	return slices.ContainsFunc(s.file.Comments, func(c *ast.CommentGroup) bool {
		return s.line(c.Pos()) > after && s.line(c.End()) < before
	})
}

func (s *source) undocumentedSpecs(d *ast.GenDecl) []violation {
	var values []item
	var out []violation
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.ValueSpec:
			comment := d.Doc != nil || spec.Doc != nil || spec.Comment != nil
			values = append(values, item{spec, comment, spec.Names})
		case *ast.TypeSpec:
			if !spec.Name.IsExported() {
				continue
			}
			doc := spec.Doc.Text()
			if !d.Lparen.IsValid() {
				doc += d.Doc.Text()
			}
			if doc == "" {
				out = append(out, s.undocumented(spec.Name))
			}
			out = append(out, s.undocumentedMembers(spec, doc)...)
		}
	}
	for _, name := range s.missing(s.line(d.Pos()), values) {
		out = append(out, s.undocumented(name))
	}
	return out
}

// undocumentedMembers looks at the fields of a struct or the methods of an
// interface. What is embedded has its comment elsewhere.
func (s *source) undocumentedMembers(spec *ast.TypeSpec, doc string) []violation {
	var list *ast.FieldList
	switch typ := spec.Type.(type) {
	case *ast.StructType:
		list = typ.Fields
	case *ast.InterfaceType:
		list = typ.Methods
	}
	if list == nil || doc != "" && list.NumFields() <= 2 {
		return nil
	}
	var members []item
	for _, field := range list.List {
		comment := field.Doc != nil || field.Comment != nil
		members = append(members, item{field, comment, field.Names})
	}
	var out []violation
	for _, name := range s.missing(s.line(list.Opening), members) {
		if !slices.Contains(words.FindAllString(doc, -1), name.Name) {
			out = append(out, s.undocumented(name))
		}
	}
	return out
}

var words = regexp.MustCompile(`\w+`)

// packageComments wants one comment over a package clause in every package.
func packageComments(t *tree) []violation {
	first, has := map[string]*source{}, map[string]bool{}
	for _, s := range t.sources {
		dir := s.dir()
		if s.isTest() {
			continue
		}
		if first[dir] == nil {
			first[dir] = s
		}
		has[dir] = has[dir] || s.file.Doc != nil
	}
	var out []violation
	for _, dir := range slices.Sorted(maps.Keys(first)) {
		if !has[dir] {
			out = append(out, first[dir].at(first[dir].file.Name, "package has no comment"))
		}
	}
	return out
}
