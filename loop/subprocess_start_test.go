package loop_test

import (
	"context"
	"errors"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
)

// launchOld starts a child whose exit a goroutine waits for.
func launchOld(t *testing.T, l *loop.Loop, n *rig.ProcessRecorder, args ...string) {
	t.Helper()
	started := make(chan error, 1)
	looptest.Do(l, func() {
		l.SubprocessWithoutPidfd(n, args, func(_ transport.SubprocessTransport, err error) {
			started <- err
		})
	})
	if err := <-started; err != nil {
		t.Fatal(err)
	}
}

func TestS332_WithoutPidfdsAGoroutineWaits(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewProcessRecorder(t)
		launchOld(t, l, n, "echo", "hello")
		n.Over(t, 0)
		if string(n.Out[1]) != "hello\n" || n.LostErr != nil {
			t.Errorf("%q, %v", n.Out[1], n.LostErr)
		}
		n = rig.NewProcessRecorder(t)
		launchOld(t, l, n, "false")
		n.Over(t, 1)
		n = rig.NewProcessRecorder(t)
		launchOld(t, l, n, "sleep", "infinity")
		if code, exited := n.T.ReturnCode(); exited {
			t.Error("exited with", code)
		}
		looptest.Do(l, func() {
			if err := n.T.Terminate(); err != nil {
				t.Error(err)
			}
		})
		n.Over(t, -15)
		rig.WaitChildless(t)
	})
}

func TestS338_EndOfALoopKillsChildrenWithoutPidfds(t *testing.T) {
	for _, shutdown := range []bool{true, false} {
		l, err := loop.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		n := rig.NewProcessRecorder(t)
		started := make(chan error, 1)
		l.CallSoon(func() {
			l.SubprocessWithoutPidfd(n, []string{"sleep", "infinity"},
				func(_ transport.SubprocessTransport, err error) {
					started <- err
					l.Stop()
				})
		})
		if err := l.RunForever(); err != nil {
			t.Fatal(err)
		}
		if err := <-started; err != nil {
			t.Fatal(err)
		}
		endLoop(t, l, shutdown)
		if shutdown {
			n.Over(t, -9)
		}
		rig.WaitChildless(t)
	}
}

// endLoop shuts a loop down, or only closes it.
func endLoop(t *testing.T, l *loop.Loop, shutdown bool) {
	t.Helper()
	end := l.Close
	if shutdown {
		end = func() error { return l.Shutdown(rig.WithTimeout(t)) }
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// The child is there already or not, its birth was told to the loop or not.
func TestS338_EndOfALoopDuringAStart(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	const tries = 20
	for i := range 2 * tries {
		l, err := loop.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		n := rig.NewProcessRecorder(t)
		var answers []error
		l.CallSoon(func() {
			l.SubprocessExecFunc(t.Context(), n, []string{"sleep", "infinity"}, nil,
				func(_ transport.SubprocessTransport, err error) {
					answers = append(answers, err)
				})
		})
		l.Stop()
		if err := l.RunForever(); err != nil { // one round
			t.Fatal(err)
		}
		for range i % tries * 1000 {
			runtime.Gosched()
		}
		shutdown := i < tries
		endLoop(t, l, shutdown)
		switch {
		case !shutdown && len(answers) > 0, shutdown && len(answers) != 1:
			t.Errorf("shutdown %v: answers %v", shutdown, answers)
		case shutdown && answers[0] == nil:
			n.Over(t, -9) // it was started in time
		case shutdown && !errors.Is(answers[0], loop.ErrLoopClosed) || len(n.Events) > 0:
			t.Errorf("shutdown %v: answers %v, events %v", shutdown, answers, n.Events)
		}
	}
	rig.WaitChildless(t)
}

// A start that is given up while it is under way: the child is killed and reaped
// before the answer comes.
func TestS329_CancelDuringAStart(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewProcessRecorder(t)
		var finish func()
		var cancel func(error)
		var answers []error
		looptest.Do(l, func() {
			cancel = l.SubprocessHeld(n, []string{"sleep", "infinity"}, &finish,
				func(tr transport.SubprocessTransport, err error) {
					if tr != nil {
						t.Error("a transport of a start that was given up")
					}
					answers = append(answers, err)
				})
		})
		looptest.WaitFor(t, l, "the child", func() bool { return finish != nil })
		looptest.Do(l, func() {
			cancel(context.Canceled)
			cancel(errors.New("the first reason counts"))
			if len(answers) > 0 {
				t.Error("answered before the child is reaped")
			}
			finish()
		})
		looptest.WaitFor(t, l, "the answer", func() bool { return len(answers) > 0 })
		if len(answers) != 1 || !errors.Is(answers[0], context.Canceled) || n.T != nil {
			t.Errorf("answers %v, protocol told %v", answers, n.T)
		}
		rig.WaitChildless(t)
	})
}

func TestS330_APipeThatCannotBeConnectedEndsTheStart(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewProcessRecorder(t)
		result := make(chan error, 1)
		looptest.Do(l, func() {
			l.SubprocessWithoutOutput(n, []string{"sleep", "infinity"},
				func(_ transport.SubprocessTransport, err error) { result <- err })
		})
		select {
		case err := <-result:
			if !errors.Is(err, syscall.EMFILE) {
				t.Error(err)
			}
		case <-time.After(looptest.WaitTimeout):
			t.Fatal("the start does not end")
		}
		looptest.Turns(l, 3)
		looptest.Do(l, func() {
			if len(n.Events) > 0 {
				t.Errorf("the protocol was told %v", n.Events)
			}
		})
		rig.WaitChildless(t)
	})
}
