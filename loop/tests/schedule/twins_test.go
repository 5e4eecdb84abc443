package schedule_test

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-net/sluice/loop"
)

// Whoever knows a method that waits knows its twin for the loop's goroutine: it takes
// the same, and then a function that takes what the method returns.
func TestMethodsThatWaitTakeAContextAndHaveATwin(t *testing.T) {
	runsOrEndsTheLoop := []string{"RunUntilComplete", "Shutdown"}
	context := reflect.TypeFor[context.Context]()
	twins := 0
	ofLoop, ofServer := reflect.TypeFor[*loop.Loop](), reflect.TypeFor[*loop.Server]()
	for _, of := range []reflect.Type{ofLoop, ofServer} {
		for i := range of.NumMethod() {
			m := of.Method(i)
			name := of.Elem().Name() + "." + m.Name
			if plain, isTwin := strings.CutSuffix(m.Name, "Func"); isTwin {
				if _, ok := of.MethodByName(plain); !ok {
					t.Errorf("%s has no method that it is the twin of", name)
				}
				continue
			}
			if m.Type.NumIn() < 2 || m.Type.In(1) != context {
				continue
			}
			twin, ok := of.MethodByName(m.Name + "Func")
			exempt := of == ofLoop && slices.Contains(runsOrEndsTheLoop, m.Name)
			switch {
			case ok == exempt:
				t.Errorf("%s: has a twin: %v", name, ok)
			case ok:
				twins++
				checkTwin(t, name, m.Type, twin.Type)
			}
		}
	}
	if twins < 15 {
		t.Errorf("only %d twins", twins)
	}
}

func checkTwin(t *testing.T, name string, method, twin reflect.Type) {
	t.Helper()
	if twin.NumIn() != method.NumIn()+1 || twin.NumOut() != 0 {
		t.Errorf("%sFunc is %v, and %s %v", name, twin, name, method)
		return
	}
	for i := range method.NumIn() {
		if twin.In(i) != method.In(i) {
			t.Errorf("%sFunc takes %v as %d, and not %v", name, twin.In(i), i, method.In(i))
		}
	}
	var results []reflect.Type
	for i := range method.NumOut() {
		results = append(results, method.Out(i))
	}
	done := twin.In(twin.NumIn() - 1)
	if want := reflect.FuncOf(results, nil, false); done != want {
		t.Errorf("%sFunc has done %v, not %v", name, done, want)
	}
}
