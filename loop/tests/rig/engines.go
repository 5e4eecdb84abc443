package rig

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
)

// KernelLoop runs a loop on an engine of the machine until the test ends.
func KernelLoop(t *testing.T, engine loop.Engine) *loop.Loop {
	t.Helper()
	l, err := loop.New(&loop.Options{Engine: engine})
	if err != nil {
		t.Skipf("needs %v: %v", engine, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.RunForever() }()
	t.Cleanup(func() {
		if err := l.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return l
}

// WithTimeout is a context that ends long after every test should have.
func WithTimeout(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), looptest.WaitTimeout)
	t.Cleanup(cancel)
	return ctx
}

// OnKernels runs f on the engines of the machine alone: f needs real descriptors.
func OnKernels(t *testing.T, f func(t *testing.T, l *loop.Loop)) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		if l.Engine().String() == "sim" {
			t.Skip("needs descriptors of the kernel")
		}
		f(t, l)
	})
}

// CloseRunning stops and closes a loop that another goroutine runs.
func CloseRunning(t *testing.T, l *loop.Loop) {
	t.Helper()
	l.Stop()
	for {
		err := l.Close()
		if err == nil {
			return
		}
		if !errors.Is(err, loop.ErrLoopRunning) {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
}
