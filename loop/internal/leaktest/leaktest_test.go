package leaktest

import (
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

func TestLeakedDescriptorIsFound(t *testing.T) {
	before := Descriptors()
	if leaks := Leaks(before); len(leaks) > 0 {
		t.Fatal("leaks out of nothing:", leaks)
	}
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	leaks := Leaks(before)
	f.Close()
	if len(leaks) != 1 || !strings.Contains(leaks[0], "/dev/null") {
		t.Errorf("leaks: %q", leaks)
	}
	if leaks := wait(func() []string { return Leaks(before) }); len(leaks) > 0 {
		t.Error("still there:", leaks)
	}
}

func TestLeakedGoroutineIsFound(t *testing.T) {
	before := Descriptors()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { <-stop; close(done) }()
	leaks := Leaks(before)
	close(stop)
	<-done
	if len(leaks) != 1 || !strings.Contains(leaks[0], "TestLeakedGoroutineIsFound") {
		t.Errorf("leaks: %q", leaks)
	}
	if leaks := wait(func() []string { return Leaks(before) }); len(leaks) > 0 {
		t.Error("still there:", leaks)
	}
}
