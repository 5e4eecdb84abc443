package loop_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/subprocess"
	"github.com/sluice-net/sluice/transport"
)

// waitChildless waits, without a loop, until this process has no child.
func waitChildless(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(looptest.Patience); ; runtime.Gosched() {
		all, _ := rig.Offspring(t)
		switch {
		case all == 0:
			return
		case time.Now().After(end):
			t.Fatalf("%d children are left", all)
		}
	}
}

// launchOld starts a child whose exit a goroutine waits for.
func launchOld(t *testing.T, l *loop.Loop, n *rig.Nurse, args ...string) {
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
		n := rig.NewNurse(t)
		launchOld(t, l, n, "echo", "hello")
		n.Over(t, 0)
		if string(n.Out[1]) != "hello\n" || n.LostErr != nil {
			t.Errorf("%q, %v", n.Out[1], n.LostErr)
		}
		n = rig.NewNurse(t)
		launchOld(t, l, n, "false")
		n.Over(t, 1)
		n = rig.NewNurse(t)
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
		waitChildless(t)
	})
}

// statements: 332
func TestS338_EndOfALoopKillsChildrenWithoutPidfds(t *testing.T) {
	for _, shutdown := range []bool{true, false} {
		l, err := loop.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		n := rig.NewNurse(t)
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
		waitChildless(t)
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
	const tries = 20
	for i := range 2 * tries {
		l, err := loop.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		n := rig.NewNurse(t)
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
	waitChildless(t)
}

// A start that is given up while it is under way: the child is killed and reaped
// before the answer comes.
func TestS329_CancelDuringAStart(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewNurse(t)
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
		waitChildless(t)
	})
}

// What a child cannot open or write is its affair: it says so itself.
func TestS306_UnwritablePathsAreTheChildsAffair(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		missing := filepath.Join(t.TempDir(), "no", "such", "file")
		n := rig.NewNurse(t)
		_, err := l.SubprocessShell(rig.WithTimeout(t), n, "echo hello >"+missing, nil)
		if err != nil {
			t.Fatal(err)
		}
		<-n.Gone
		if code, _ := n.T.ReturnCode(); code <= 0 || !bytes.Contains(n.Out[2], []byte(missing)) {
			t.Errorf("return code %d, %q", code, n.Out[2])
		}
		readOnly, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer readOnly.Close()
		n = rig.NewNurse(t)
		_, err = l.SubprocessShell(rig.WithTimeout(t), n, "cat /proc/self/stat",
			&subprocess.Options{Stdin: subprocess.DevNull, Stdout: subprocess.File(readOnly)})
		if err != nil {
			t.Fatal(err)
		}
		<-n.Gone
		if code, _ := n.T.ReturnCode(); code <= 0 || n.T.PipeTransport(1) != nil ||
			!strings.Contains(strings.ToLower(string(n.Out[2])), "bad file descriptor") {
			t.Errorf("return code %d, %q", code, n.Out[2])
		}
	})
}

// A slow callback is reported under the name that the user knows.
func TestS414_ASlowChildCallbackIsTheUsers(t *testing.T) {
	log := &rig.Lines{}
	looptest.EnginesWith(t, rig.DebugOptions(log), func(t *testing.T, l *loop.Loop) {
		if l.Engine().String() == "sim" {
			t.Skip("needs a clock that passes by itself")
		}
		*log = rig.Lines{}
		looptest.Do(l, func() { l.SlowCallbackDuration = 5 * time.Millisecond })
		n := rig.NewNurse(t)
		for _, event := range []string{"made", "data 1", "closed 1", "exited", "lost"} {
			n.On[event] = func() { rig.Dawdle(l) }
		}
		rig.Launch(t, l, n, nil, "echo", "hello").Over(t, 0)
		looptest.Do(l, func() {})
		for _, callback := range []string{"ConnectionMade", "PipeDataReceived",
			"PipeConnectionLost", "ProcessExited", "ConnectionLost"} {
			if !log.Contains("Executing " + callback + " of *rig.Nurse") {
				t.Errorf("%s is not logged", callback)
			}
		}
	})
}

// What a grandchild does not read keeps nobody waiting: it is lost, and said to be.
func TestS315_CloseWhileAGrandchildHoldsTheInput(t *testing.T) {
	net := looptest.New(t, looptest.Options{Seed: 1})
	var child *looptest.Child
	net.Program("parent", func(c *looptest.Child) {
		child = c
		c.Stdin.PauseReading()
		c.Leave(7)
	})
	n := rig.Launch(t, net.Loop, rig.NewNurse(t), nil, "parent")
	looptest.WaitFor(t, net.Loop, "ProcessExited", func() bool { return n.Has("exited") })
	looptest.Do(net.Loop, func() {
		rig.Stdin(n).Write(make([]byte, 4<<20))
		n.T.Close()
	})
	n.Over(t, 7)
	if !errors.Is(n.PipeErr[0], syscall.EPIPE) {
		t.Error(n.PipeErr[0])
	}
	looptest.Do(net.Loop, func() {
		for _, p := range []*looptest.Peer{child.Stdin, child.Stdout, child.Stderr} {
			p.Close()
		}
	})
}

// The child is killed, but what it has left behind could keep the input open.
func TestS315_CloseOfAChildWhoseGrandchildHoldsTheInput(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewNurse(t)
		_, err := l.SubprocessShell(rig.WithTimeout(t), n,
			"sleep 60 <&0 >/dev/null 2>&1 & echo $!; exec sleep 60", nil)
		if err != nil {
			t.Fatal(err)
		}
		looptest.WaitFor(t, l, "its number", func() bool {
			return strings.HasSuffix(string(n.Out[1]), "\n")
		})
		grandchild, err := strconv.Atoi(strings.TrimSpace(string(n.Out[1])))
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Kill(grandchild, syscall.SIGKILL)
		looptest.Do(l, func() {
			rig.Stdin(n).Write(make([]byte, 4<<20))
			n.T.Close()
		})
		n.Over(t, -9)
		if !errors.Is(n.PipeErr[0], syscall.EPIPE) {
			t.Error(n.PipeErr[0])
		}
	})
}
