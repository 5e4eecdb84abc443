package child_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/subprocess"
	"github.com/sluice-net/sluice/transport"
)

func TestS332_ChildrenOneAfterAnotherAndAllAtOnceAreReaped(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		one, all := rig.Amount(500), 50
		if l.Engine() != loop.Uring && os.Getenv(loop.EngineEnv) == "" {
			one /= 10 // all of them on one engine will do
		}
		null := &subprocess.Options{Stdin: subprocess.DevNull, Stderr: subprocess.DevNull}
		for range one {
			rig.Launch(t, l, rig.NewProcessRecorder(t), null, "true").Over(t, 0)
		}
		nurses := make([]*rig.ProcessRecorder, all)
		for i := range nurses {
			nurses[i] = rig.NewProcessRecorder(t)
			looptest.Do(l, func() {
				l.SubprocessExecFunc(t.Context(), nurses[i], []string{"echo", fmt.Sprint(i)}, null,
					func(_ transport.SubprocessTransport, err error) {
						if err != nil {
							t.Error(err)
						}
					})
			})
		}
		for i, n := range nurses {
			n.Over(t, 0)
			if string(n.Out[1]) != fmt.Sprintf("%d\n", i) {
				t.Errorf("child %d said %q", i, n.Out[1])
			}
		}
		looptest.WaitFor(t, l, "no zombies", func() bool {
			_, zombies := rig.Children(t)
			return zombies == 0
		})
	})
}

func TestS338_CloseOfALoopKillsItsChildren(t *testing.T) {
	for _, shutdown := range []bool{true, false} {
		l, err := loop.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		n := rig.NewProcessRecorder(t)
		tr, err := l.SubprocessExec(t.Context(), n, []string{"sleep", "infinity"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		pid := tr.Pid()
		if shutdown {
			if err := l.Shutdown(rig.WithTimeout(t)); err != nil {
				t.Error(err)
			}
			n.Over(t, -9)
		} else if err := l.Close(); err != nil {
			t.Error(err)
		}
		end := time.Now().Add(looptest.WaitTimeout)
		for syscall.Kill(pid, 0) == nil {
			if time.Now().After(end) {
				t.Fatal("the child is still there")
			}
		}
		_, err = l.SubprocessExec(context.Background(), n, []string{"true"}, nil)
		if !errors.Is(err, loop.ErrLoopClosed) {
			t.Error(err)
		}
	}
}

func TestS404_SIGCHLDIsTheUsers(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		told := 0
		looptest.Do(l, func() {
			if err := l.AddSignalHandler(syscall.SIGCHLD, func() { told++ }); err != nil {
				t.Error(err)
			}
		})
		rig.Launch(t, l, rig.NewProcessRecorder(t), noErr(), "true").Over(t, 0)
		looptest.WaitFor(t, l, "the signal", func() bool { return told > 0 })
		looptest.Do(l, func() {
			if !l.RemoveSignalHandler(syscall.SIGCHLD) {
				t.Error("there is no handler")
			}
		})
		rig.Launch(t, l, rig.NewProcessRecorder(t), noErr(), "true").Over(t, 0)
	})
}
