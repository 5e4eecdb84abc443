package docs

import (
	"fmt"
	"go/constant"
	"go/types"
	"slices"
	"strings"
	"testing"
)

// apiOf returns a line for each exported name of a package, in the manner of Go's own
// api/*.txt: constants with their values, fields, methods, also those that come by
// embedding something unexported, and the methods of interfaces.
func apiOf(pkg *types.Package) []string {
	w := &apiWriter{pkg: pkg, name: strings.TrimPrefix(pkg.Path(), module+"/")}
	for _, name := range pkg.Scope().Names() {
		if object := pkg.Scope().Lookup(name); object.Exported() {
			w.object(object)
		}
	}
	slices.Sort(w.lines)
	return w.lines
}

// An apiWriter collects the lines of one package.
type apiWriter struct {
	pkg   *types.Package
	name  string
	lines []string
}

func (w *apiWriter) add(format string, args ...any) {
	w.lines = append(w.lines, "pkg "+w.name+", "+fmt.Sprintf(format, args...))
}

func (w *apiWriter) object(object types.Object) {
	switch o := object.(type) {
	case *types.Const:
		w.add("const %s %s = %s", o.Name(), w.typ(o.Type()), value(o.Val()))
	case *types.Var:
		w.add("var %s %s", o.Name(), w.typ(o.Type()))
	case *types.Func:
		w.add("func %s%s", o.Name(), w.signature(o.Signature()))
	case *types.TypeName:
		w.typeName(o)
	}
}

// value is a constant's value, whole where String would shorten it.
func value(v constant.Value) string { return v.ExactString() }

func (w *apiWriter) typeName(o *types.TypeName) {
	if o.IsAlias() {
		w.add("type %s = %s", o.Name(), w.typ(types.Unalias(o.Type())))
		return
	}
	named := o.Type().(*types.Named)
	name := o.Name() + w.parameters(named.TypeParams())
	switch under := named.Underlying().(type) {
	case *types.Struct:
		w.add("type %s struct", name)
		w.fields(name, under)
	case *types.Interface:
		w.add("type %s interface", name)
		w.interfaceMethods(name, under)
	default:
		w.add("type %s %s", name, w.typ(under))
	}
	if !types.IsInterface(named) {
		w.methods(name, named)
	}
}

func (w *apiWriter) fields(name string, s *types.Struct) {
	for field := range s.Fields() {
		switch {
		case !field.Exported():
		case field.Embedded():
			w.add("type %s struct, embeds %s", name, w.typ(field.Type()))
		default:
			w.add("type %s struct, %s %s", name, field.Name(), w.typ(field.Type()))
		}
	}
}

func (w *apiWriter) interfaceMethods(name string, face *types.Interface) {
	for method := range face.ExplicitMethods() {
		if method.Exported() {
			w.add("type %s interface, %s%s", name, method.Name(), w.signature(method.Signature()))
		} else {
			w.add("type %s interface, unexported methods", name)
		}
	}
	for embedded := range face.EmbeddedTypes() {
		w.add("type %s interface, embeds %s", name, w.typ(embedded))
	}
}

// methods lists what can be called on a value of the type, but not what it has by
// embedding an exported type: that is listed with the field.
func (w *apiWriter) methods(name string, named *types.Named) {
	values := types.NewMethodSet(named)
	set := types.NewMethodSet(types.NewPointer(named))
	for selection := range set.Methods() {
		method := selection.Obj().(*types.Func)
		if !method.Exported() || byExportedField(named, selection.Index()) {
			continue
		}
		receiver := "*" + name
		if values.Lookup(w.pkg, method.Name()) != nil {
			receiver = name
		}
		w.add("method (%s) %s%s", receiver, method.Name(), w.signature(method.Signature()))
	}
}

// byExportedField reports whether a method is reached through an exported field of a
// type that programs can name.
func byExportedField(named *types.Named, index []int) bool {
	s, ok := named.Underlying().(*types.Struct)
	if !ok || len(index) < 2 {
		return false
	}
	field := s.Field(index[0])
	object := typeOf(field.Type())
	return field.Exported() && object != nil && object.Exported() &&
		(object.Pkg() == nil || !strings.Contains(object.Pkg().Path(), "/internal/"))
}

func (w *apiWriter) parameters(list *types.TypeParamList) string {
	var names []string
	for p := range list.TypeParams() {
		names = append(names, p.Obj().Name()+" "+w.typ(p.Constraint()))
	}
	if names == nil {
		return ""
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// signature is what a function takes and returns, without the names, which are no part
// of the API.
func (w *apiWriter) signature(s *types.Signature) string {
	return w.parameters(s.TypeParams()) + strings.TrimPrefix(w.typ(s), "func")
}

func (w *apiWriter) typ(t types.Type) string {
	return types.TypeString(nameless(t), func(p *types.Package) string {
		if p == w.pkg {
			return ""
		}
		return p.Name()
	})
}

// nameless is t with no names of parameters in it.
func nameless(t types.Type) types.Type {
	switch t := t.(type) {
	case *types.Signature:
		params, results := namelessAll(t.Params()), namelessAll(t.Results())
		return types.NewSignatureType(nil, nil, nil, params, results, t.Variadic())
	case *types.Pointer:
		return types.NewPointer(nameless(t.Elem()))
	case *types.Slice:
		return types.NewSlice(nameless(t.Elem()))
	case *types.Map:
		return types.NewMap(nameless(t.Key()), nameless(t.Elem()))
	}
	return t
}

func namelessAll(list *types.Tuple) *types.Tuple {
	var vars []*types.Var
	for v := range list.Variables() {
		vars = append(vars, types.NewParam(v.Pos(), v.Pkg(), "", nameless(v.Type())))
	}
	return types.NewTuple(vars...)
}

// sample is a module with one of each.
var sample = map[string]string{
	"transport/t.go": `package transport
type Base interface { Close() error; hidden() }
type Wide interface { Base; Write(p []byte, more ...int) (n int, err error) }
`,
	"loop/l.go": `package loop
import "` + module + `/transport"
const Two Kind = 2
const two = 2
var Err error
type Kind int
func (k Kind) String() string { return "" }
type Loop struct { Field func(size int) (n int); hidden int; inner; Open }
type inner struct{}
func (inner) Inherited(name string) {}
type Open struct{}
func (Open) Listed() {}
func (l *Loop) Run(base transport.Base) (ok bool) { return }
func (l *Loop) run() {}
type Short = Loop
type Pair[T any] struct { First T }
func (p *Pair[T]) Of() T { return p.First }
func Map[T any](list []T, f func(element T, all []func(deep int))) {}
`,
}

func TestEveryExportedNameHasALine(t *testing.T) {
	c := newNames(t, grow(sample))
	want := []string{
		"pkg loop, const Two Kind = 2",
		"pkg loop, func Map[T any]([]T, func(T, []func(int)))",
		"pkg loop, method (*Loop) Run(transport.Base) bool",
		"pkg loop, method (*Pair[T any]) Of() T",
		"pkg loop, method (Kind) String() string",
		"pkg loop, method (Loop) Inherited(string)",
		"pkg loop, method (Open) Listed()",
		"pkg loop, type Kind int",
		"pkg loop, type Loop struct",
		"pkg loop, type Loop struct, Field func(int) int",
		"pkg loop, type Loop struct, embeds Open",
		"pkg loop, type Open struct",
		"pkg loop, type Pair[T any] struct",
		"pkg loop, type Pair[T any] struct, First T",
		"pkg loop, type Short = Loop",
		"pkg loop, var Err error",
		"pkg transport, type Base interface",
		"pkg transport, type Base interface, Close() error",
		"pkg transport, type Base interface, unexported methods",
		"pkg transport, type Wide interface",
		"pkg transport, type Wide interface, Write([]byte, ...int) (int, error)",
		"pkg transport, type Wide interface, embeds Base",
	}
	got := append(apiOf(c.check("loop")), apiOf(c.check("transport"))...)
	if diff := compareLines(want, got); diff != "" {
		t.Errorf("the lines are not as expected:\n%s", diff)
	}
}
