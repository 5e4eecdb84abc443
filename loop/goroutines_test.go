package loop_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
)

// onItsGoroutine calls f on the loop's goroutine, or the test's, while the loop runs in
// debug mode, and returns what f panicked with.
func (c *caller) onItsGoroutine(own bool, f func()) (panicked any) {
	guarded := func() {
		defer func() { panicked = recover() }()
		f()
	}
	if !own {
		guarded()
		return panicked
	}
	done := make(chan struct{})
	c.l.CallSoonThreadsafe(func() {
		defer close(done)
		guarded()
	})
	<-done
	return panicked
}

// newCaller makes a running loop in debug mode with a server and handles.
func newCaller(t *testing.T) *caller {
	t.Helper()
	l, err := loop.New(&loop.Options{Debug: true})
	if err != nil {
		t.Fatal(err)
	}
	c := &caller{l: l}
	c.s, err = l.CreateServer(t.Context(), func() protocol.Protocol { return rig.NewMirror() },
		"127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.h = l.CallSoon(func() {})
	c.timer = l.CallLater(time.Hour, func() {})
	ended := make(chan error, 1)
	go func() { ended <- l.RunForever() }()
	running := make(chan struct{})
	l.CallSoonThreadsafe(func() { close(running) })
	<-running
	t.Cleanup(func() {
		l.Shutdown(context.Background())
		<-ended
	})
	return c
}

func TestDebugModeCatchesCallsOnTheWrongGoroutine(t *testing.T) {
	for name, rule := range goroutineRules {
		t.Run(name, func(t *testing.T) {
			c := newCaller(t)
			var err error
			own := rule.where == offLoop
			panicked := c.onItsGoroutine(own, func() { err = rule.call(t.Context(), c) })
			text := fmt.Sprint(panicked)
			switch {
			case rule.where == loopsOwn && !strings.Contains(text, "non-thread-safe operation"):
				t.Errorf("called on another goroutine: %v, %v", err, panicked)
			case rule.where == offLoop && !errors.Is(err, loop.ErrOnLoop):
				t.Errorf("called on the loop's goroutine: %v, %v", err, panicked)
			case rule.where == anywhere && (panicked != nil || err != nil):
				t.Errorf("called on another goroutine: %v, %v", err, panicked)
			}
		})
	}
}

func TestEachMethodSaysOnWhichGoroutineItMayBeCalled(t *testing.T) {
	comments := commentsOfMethods(t, ".", "Loop", "Server", "Handle", "TimerHandle")
	for name, comment := range comments {
		rule, ok := goroutineRules[name]
		if !ok {
			t.Errorf("%s is not in the table of rules", name)
		}
		if said := saidIn(comment); said != rule.where {
			t.Errorf("%s is for %s, its comment says %s:\n%s", name, rule.where, said, comment)
		}
	}
	for name := range goroutineRules {
		if _, ok := comments[name]; !ok {
			t.Errorf("there is no %s", name)
		}
	}
}

var (
	saysOffLoop  = regexp.MustCompile(`(from|for) any goroutine except the loop's`)
	saysAnywhere = regexp.MustCompile(`(from|for) any goroutine[^ ]`)
	saysLoopsOwn = regexp.MustCompile(`for the loop's goroutine`)
)

// saidIn is what a comment says.
func saidIn(comment string) goroutine {
	text := strings.Join(strings.Fields(comment), " ")
	var said []goroutine
	for _, s := range []struct {
		pattern *regexp.Regexp
		where   goroutine
	}{{saysOffLoop, offLoop}, {saysAnywhere, anywhere}, {saysLoopsOwn, loopsOwn}} {
		if s.pattern.MatchString(text) {
			said = append(said, s.where)
		}
	}
	if len(said) != 1 {
		return undecided
	}
	return said[0]
}

// commentsOfMethods reads the doc comments of the exported methods of some types in a
// folder.
func commentsOfMethods(t *testing.T, folder string, types ...string) map[string]string {
	t.Helper()
	comments := make(map[string]string)
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no source in %s: %v", folder, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			m, ok := d.(*ast.FuncDecl)
			if !ok || m.Recv == nil || !m.Name.IsExported() {
				continue
			}
			if of := receiver(m); slices.Contains(types, of) {
				comments[of+"."+m.Name.Name] = m.Doc.Text()
			}
		}
	}
	return comments
}

// receiver is the name of the type whose method m is, "" where that is no pointer.
func receiver(m *ast.FuncDecl) string {
	if star, ok := m.Recv.List[0].Type.(*ast.StarExpr); ok {
		if of, ok := star.X.(*ast.Ident); ok {
			return of.Name
		}
	}
	return ""
}
