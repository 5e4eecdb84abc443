package loop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/subprocess"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// statements: 332, 334
func TestS312_ChildrenOneAfterAnotherAndAllAtOnce(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		one, all := 500, 50
		switch {
		case debug.On || testing.Short():
			one, all = 20, 20
		case l.Engine() != loop.Uring && os.Getenv(loop.EngineEnv) == "":
			one = 50 // 500 on one engine will do
		}
		null := &subprocess.Options{Stdin: subprocess.DevNull, Stderr: subprocess.DevNull}
		for range one {
			rig.Launch(t, l, rig.NewNurse(t), null, "true").Over(t, 0)
		}
		nurses := make([]*rig.Nurse, all)
		for i := range nurses {
			nurses[i] = rig.NewNurse(t)
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
			_, zombies := rig.Offspring(t)
			return zombies == 0
		})
	})
}

// statements: 337
func TestS338_CloseOfALoopKillsItsChildren(t *testing.T) {
	for _, shutdown := range []bool{true, false} {
		l, err := loop.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		n := rig.NewNurse(t)
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
		end := time.Now().Add(looptest.Patience)
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

// openPTY opens a pair.
func openPTY(t *testing.T) (master, slave *os.File) {
	t.Helper()
	fd, err := syscall.Open("/dev/ptmx", syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("needs pseudoterminals: ", err)
	}
	master = os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { master.Close() })
	n, err := ptyNumber(fd)
	if err != nil {
		t.Skip("needs pseudoterminals: ", err)
	}
	name := fmt.Sprintf("/dev/pts/%d", n)
	fd, err = syscall.Open(name, syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("needs pseudoterminals: ", err)
	}
	slave = os.NewFile(uintptr(fd), name)
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// duplicateFile is the same open file once more.
func duplicateFile(t *testing.T, f *os.File) *os.File {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), f.Name())
}

// statements: 292
func TestS300_TerminalIsReadAndWritten(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		master, slave := openPTY(t)
		shared := duplicateFile(t, slave)
		defer shared.Close()
		in, out := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
		rig.ReadPipe(t, l, in, duplicateFile(t, slave))
		rig.WritePipe(t, l, out, slave)
		if rig.IsNonblocking(t, int(shared.Fd())) {
			t.Error("the terminal is non-blocking for everybody")
		}
		if _, err := master.Write([]byte("typed\n")); err != nil {
			t.Fatal(err)
		}
		looptest.WaitFor(t, l, "what was typed", func() bool { return in.Received() == 6 })
		looptest.Do(l, func() { out.Transport().Write([]byte("shown")) })
		got := make([]byte, 0, 100)
		for !bytes.Contains(got, []byte("shown")) {
			n, err := master.Read(got[len(got):cap(got)])
			if err != nil {
				t.Fatal(err)
			}
			got = got[:len(got)+n]
		}
		master.Close() // hangs up
		rig.WaitLostWith(t, l, in, nil)
		looptest.Do(l, func() { out.Transport().Close() })
		rig.WaitLost(t, l, out)
	})
}

// The master's EIO, when nobody has the terminal open any more, is EOF.
func TestS292_HungUpTerminalIsAtItsEnd(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		master, slave := openPTY(t)
		r := transporttest.NewRecorder(t)
		rig.ReadPipe(t, l, r, master)
		if _, err := slave.Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		looptest.WaitFor(t, l, "the last words", func() bool { return r.Received() == 10 })
		slave.Close()
		rig.WaitLostWith(t, l, r, nil)
		if !strings.HasSuffix(r.Trace(), "eof, lost <nil>") {
			t.Error(r.Trace())
		}
	})
}

func TestS286_DevicesThatCannotBePolled(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		open := func(path string) *os.File {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Skip("needs ", path)
			}
			return f
		}
		null, zero, out := transporttest.NewRecorder(t), transporttest.NewRecorder(t),
			transporttest.NewRecorder(t)
		rig.ReadPipe(t, l, null, open("/dev/null"))
		rig.WaitTrace(t, l, null, "made, eof, lost <nil>")
		rig.WaitLostWith(t, l, null, nil)
		zero.On.Data = func([]byte) { zero.Transport().Close() }
		rig.ReadPipe(t, l, zero, open("/dev/zero"))
		rig.WaitLostWith(t, l, zero, nil)
		rig.WritePipe(t, l, out, open("/dev/null"))
		looptest.Do(l, func() {
			out.Transport().Write(make([]byte, 1<<20))
			out.Transport().Close()
		})
		rig.WaitLostWith(t, l, out, nil)
	})
}

func TestS404_SIGCHLDIsTheUsers(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		told := 0
		looptest.Do(l, func() {
			if err := l.AddSignalHandler(syscall.SIGCHLD, func() { told++ }); err != nil {
				t.Error(err)
			}
		})
		rig.Launch(t, l, rig.NewNurse(t), noErr(), "true").Over(t, 0)
		looptest.WaitFor(t, l, "the signal", func() bool { return told > 0 })
		looptest.Do(l, func() {
			if !l.RemoveSignalHandler(syscall.SIGCHLD) {
				t.Error("there is no handler")
			}
		})
		rig.Launch(t, l, rig.NewNurse(t), noErr(), "true").Over(t, 0)
	})
}
