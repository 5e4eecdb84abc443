package child_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/subprocess"
	"github.com/sluice-net/sluice/transport"
	"golang.org/x/sys/unix"
)

// launchShell starts a command line of the shell.
func launchShell(t *testing.T, l *loop.Loop, n *rig.ProcessRecorder, o *subprocess.Options,
	command string) *rig.ProcessRecorder {
	t.Helper()
	if _, err := l.SubprocessShell(rig.WithTimeout(t), n, command, o); err != nil {
		t.Fatal(err)
	}
	return n
}

// sequence returns the numbers from 1 to n as seq(1) writes them.
func sequence(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintln(&b, i+1)
	}
	return b.Bytes()
}

// output returns the transport of an output.
func output(n *rig.ProcessRecorder, fd int) transport.ReadTransport {
	return n.T.PipeTransport(fd).(transport.ReadTransport)
}

func TestS304_TheShellRunsACommandLine(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		n := launchShell(t, l, rig.NewProcessRecorder(t), nil,
			"read -r line; echo $line | wc -w; exit 7")
		looptest.Do(l, func() { rig.Stdin(n).Write([]byte("one two three\n")) })
		n.Over(t, 7)
		if strings.TrimSpace(string(n.Out[1])) != "3" {
			t.Errorf("%q, %q", n.Out[1], n.Out[2])
		}
	})
}

// The loop stands still in ConnectionMade until the child has written and exited.
func TestS307_WhatHappenedBeforeConnectionMadeIsReportedAfterIt(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewProcessRecorder(t)
		n.On["made"] = func() {
			for fd := range 3 {
				if n.T.PipeTransport(fd) == nil {
					t.Errorf("pipe %d is not connected in ConnectionMade", fd)
				}
			}
			waitZombie(t, n.T.Pid())
			if code, exited := n.T.ReturnCode(); exited {
				t.Errorf("return code %d in ConnectionMade", code)
			}
		}
		launchShell(t, l, n, nil, "echo out; echo err >&2; exit 3")
		n.Over(t, 3)
		if n.Events[0] != "made" || string(n.Out[1]) != "out\n" || string(n.Out[2]) != "err\n" {
			t.Errorf("%v, %q, %q", n.Events, n.Out[1], n.Out[2])
		}
		for _, pipe := range []string{"1", "2"} {
			if slices.Index(n.Events, "data "+pipe) > slices.Index(n.Events, "closed "+pipe) {
				t.Error(n.Events)
			}
		}
	})
}

// The loop stands still until the child has exited: all of it came before ConnectionMade.
func TestS307_AChildThatHasExitedAlreadyIsToldFromTheBeginning(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewProcessRecorder(t)
		looptest.Do(l, func() {
			l.SubprocessShellFunc(rig.WithTimeout(t), n, "echo out; echo err >&2; exit 3", nil,
				func(_ transport.SubprocessTransport, err error) {
					if err != nil {
						t.Error(err)
					}
				})
			end := time.Now().Add(looptest.WaitTimeout)
			for zombies := 0; zombies == 0 && time.Now().Before(end); runtime.Gosched() {
				_, zombies = rig.Children(t)
			}
			if len(n.Events) > 0 {
				t.Errorf("told %v while the loop stood still", n.Events)
			}
		})
		n.Over(t, 3)
		if n.Events[0] != "made" || string(n.Out[1]) != "out\n" || string(n.Out[2]) != "err\n" {
			t.Errorf("%v, %q, %q", n.Events, n.Out[1], n.Out[2])
		}
	})
}

// waitZombie waits until a child has exited. The loop, which would reap it, stands still.
func waitZombie(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(looptest.WaitTimeout); ; runtime.Gosched() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Error(err)
			return
		}
		if bytes.Contains(stat, []byte(") Z ")) {
			return
		}
		if time.Now().After(end) {
			t.Error("the child does not exit")
			return
		}
	}
}

func TestS308_EachOutputArrivesInTheOrderInWhichItWasWritten(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		n := launchShell(t, l, rig.NewProcessRecorder(t), nil, "seq 50000 & seq 40000 >&2; wait")
		n.Over(t, 0)
		for fd, want := range [][]byte{nil, sequence(50000), sequence(40000)} {
			if !bytes.Equal(n.Out[fd], want) {
				t.Errorf("%d bytes of output %d, want %d, or they differ", len(n.Out[fd]), fd,
					len(want))
			}
		}
	})
}

func TestS310_ReturnCodeIsKnownInProcessExited(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewProcessRecorder(t)
		calls := 0
		n.On["exited"] = func() {
			calls++
			if code, exited := n.T.ReturnCode(); code != 3 || !exited {
				t.Errorf("return code %d, %v", code, exited)
			}
		}
		launchShell(t, l, n, nil, "exit 3").Over(t, 3)
		if calls != 1 {
			t.Errorf("ProcessExited %d times", calls)
		}
	})
}

// What a grandchild writes after the child's exit comes before the end of the pipe.
func TestS311_AllDataOfAPipeComesBeforeItsEnd(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewProcessRecorder(t)
		late := 0
		n.On["data 1"] = func() {
			if n.Has("exited") {
				late++
			}
		}
		n.On["exited"] = func() { rig.Stdin(n).Close() }
		launchShell(t, l, n, noErr(), "exec 3<&0; (cat <&3 >/dev/null; seq 50000) & exit 0")
		n.Over(t, 0)
		if want := sequence(50000); late == 0 || !bytes.Equal(n.Out[1], want) {
			t.Errorf("%d bytes, want %d; %d times data after the exit", len(n.Out[1]), len(want),
				late)
		}
	})
}

func TestS312_ConnectionLostIsLastAfterTheExitAndAllPipes(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, args := range [][]string{{"echo", "hello"}, {"false"}, {"cat"}} {
			n := rig.NewProcessRecorder(t)
			n.On["lost"] = func() {
				for _, before := range []string{"exited", "closed 0", "closed 1", "closed 2"} {
					if !n.Has(before) {
						t.Errorf("%v: ConnectionLost before %q: %v", args, before, n.Events)
					}
				}
			}
			rig.Launch(t, l, n, nil, args...)
			looptest.Do(l, func() { rig.Stdin(n).Close() })
			<-n.Gone
			looptest.Turns(l, 3) // in which the protocol complains of more
			if n.LostErr != nil || n.Events[len(n.Events)-1] != "lost" {
				t.Errorf("%v: %v, %v", args, n.LostErr, n.Events)
			}
		}
	})
}

func TestS316_PidAndReturnCodeWhileItRuns(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		n := launchShell(t, l, rig.NewProcessRecorder(t), noErr(), "echo $$; read -r line; exit 9")
		looptest.WaitFor(t, l, "its number", func() bool {
			return bytes.HasSuffix(n.Out[1], []byte("\n"))
		})
		looptest.Do(l, func() {
			if got := strings.TrimSpace(string(n.Out[1])); got != fmt.Sprint(n.T.Pid()) {
				t.Errorf("Pid() is %d, the child says %s", n.T.Pid(), got)
			}
			if code, exited := n.T.ReturnCode(); exited {
				t.Errorf("return code %d of a child that runs", code)
			}
			rig.Stdin(n).Close()
		})
		n.Over(t, 9)
	})
}

func TestS317_PipeTransportsByDescriptor(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := rig.Launch(t, l, rig.NewProcessRecorder(t), nil, "cat")
		looptest.Do(l, func() {
			if _, ok := n.T.PipeTransport(0).(transport.WriteTransport); !ok {
				t.Errorf("0 is %v", n.T.PipeTransport(0))
			}
			for _, fd := range []int{1, 2} {
				if r, ok := n.T.PipeTransport(fd).(transport.ReadTransport); !ok || !r.IsReading() {
					t.Errorf("%d is %v", fd, n.T.PipeTransport(fd))
				}
			}
			for _, fd := range []int{-1, 3, 1 << 30} {
				if tr := n.T.PipeTransport(fd); tr != nil {
					t.Errorf("%d is %v", fd, tr)
				}
			}
			rig.Stdin(n).Close()
		})
		n.Over(t, 0)
		n = rig.Launch(t, l, rig.NewProcessRecorder(t),
			&subprocess.Options{Stdin: subprocess.DevNull,
				Stdout: subprocess.DevNull, Stderr: subprocess.DevNull}, "true")
		looptest.Do(l, func() {
			for fd := range 3 {
				if tr := n.T.PipeTransport(fd); tr != nil {
					t.Errorf("without a pipe %d is %v", fd, tr)
				}
			}
		})
		n.Over(t, 0)
	})
}

func TestS319_CloseAndWriteEOFAreTheEndOfTheChildsInput(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for name, end := range map[string]func(transport.WriteTransport) error{
			"Close":    func(w transport.WriteTransport) error { return w.Close() },
			"WriteEOF": func(w transport.WriteTransport) error { return w.WriteEOF() },
		} {
			n := rig.Launch(t, l, rig.NewProcessRecorder(t), nil, "cat")
			looptest.Do(l, func() {
				rig.Stdin(n).Write([]byte("all of it"))
				if err := end(rig.Stdin(n)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
			n.Over(t, 0)
			if string(n.Out[1]) != "all of it" {
				t.Errorf("%s: %q", name, n.Out[1])
			}
		}
	})
}

func TestS326_NoDataComesAfterAnOutputIsPaused(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewProcessRecorder(t)
		calls := 0
		n.On["data 1"] = func() {
			if calls++; calls == 1 {
				output(n, 1).PauseReading()
			}
		}
		launchShell(t, l, n, noErr(), "seq 50000")
		looptest.WaitFor(t, l, "data", func() bool { return calls > 0 })
		looptest.Pass(t, l, 20*time.Millisecond)
		looptest.Do(l, func() {
			if calls != 1 {
				t.Errorf("data came %d times although it is paused", calls)
			}
			output(n, 1).ResumeReading()
		})
		n.Over(t, 0)
		if !bytes.Equal(n.Out[1], sequence(50000)) {
			t.Errorf("%d bytes", len(n.Out[1]))
		}
	})
}

func TestS327_AChildWhoseOutputIsPausedWaits(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewProcessRecorder(t)
		n.On["made"] = func() { output(n, 1).PauseReading() }
		launchShell(t, l, n, nil, "echo begin >&2; head -c 4194304 /dev/zero; echo end >&2")
		looptest.WaitFor(t, l, "the beginning", func() bool { return len(n.Out[2]) > 0 })
		pipe := descriptorOf(t, output(n, 1))
		size, err := unix.FcntlInt(uintptr(pipe), unix.F_GETPIPE_SZ, 0)
		if err != nil {
			t.Fatal(err)
		}
		full := func() bool {
			unread, err := unix.IoctlGetInt(pipe, unix.TIOCINQ)
			return err == nil && unread == size
		}
		looptest.WaitFor(t, l, "the pipe to be full", full)
		looptest.Pass(t, l, 20*time.Millisecond)
		looptest.Do(l, func() {
			if !full() {
				t.Error("the pipe is not full any more although nobody reads")
			}
			if string(n.Out[2]) != "begin\n" || n.Has("exited") || len(n.Out[1]) > 0 {
				t.Errorf("%q, %v", n.Out[2], n.Events)
			}
			output(n, 1).ResumeReading()
		})
		n.Over(t, 0)
		if string(n.Out[2]) != "begin\nend\n" || len(n.Out[1]) != 4<<20 {
			t.Errorf("%q, %d bytes", n.Out[2], len(n.Out[1]))
		}
	})
}

func TestS337_AChildThatHasEndedByItselfIsClosing(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewProcessRecorder(t)
		inExited, inLost := true, false
		n.On["exited"] = func() { inExited = n.T.IsClosing() }
		n.On["lost"] = func() { inLost = n.T.IsClosing() }
		n.On["made"] = func() { output(n, 1).PauseReading() } // it is not over with the exit
		rig.Launch(t, l, n, nil, "echo", "hello")
		looptest.WaitFor(t, l, "the exit", func() bool { return n.Has("exited") })
		looptest.Do(l, func() { output(n, 1).ResumeReading() })
		n.Over(t, 0)
		if inExited || !inLost {
			t.Errorf("IsClosing: %v in ProcessExited, %v in ConnectionLost", inExited, inLost)
		}
	})
}

func TestS338_CloseRightAfterKillIsNotAnError(t *testing.T) {
	for range 20 {
		l, err := loop.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		l.SetExceptionHandler(func(e loop.Exception) {
			t.Errorf("reported %s: %v", e.Message, e.Err)
		})
		tr, err := l.SubprocessExec(t.Context(), rig.NewProcessRecorder(t),
			[]string{"sleep", "infinity"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.Kill(); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	rig.WaitChildless(t)
}
