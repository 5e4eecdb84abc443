package child_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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

// descriptorOf is that of a pipe's transport.
func descriptorOf(t *testing.T, tr transport.BaseTransport) (fd int) {
	raw, ok := tr.ExtraInfo("pipe").(syscall.RawConn)
	if !ok {
		t.Fatal("no descriptor")
	}
	if err := raw.Control(func(n uintptr) { fd = int(n) }); err != nil {
		t.Fatal(err)
	}
	return fd
}

// noErr leaves the error output out.
func noErr() *subprocess.Options { return &subprocess.Options{Stderr: subprocess.DevNull} }

func TestS304_CatEchoesWhatItIsSent(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := rig.Launch(t, l, rig.NewProcessRecorder(t), nil, "cat")
		looptest.Do(l, func() {
			_, reads := n.T.PipeTransport(1).(transport.ReadTransport)
			if _, exited := n.T.ReturnCode(); exited || n.T.Pid() <= 0 || !reads ||
				n.T.PipeTransport(2) == nil || n.T.PipeTransport(3) != nil ||
				n.T.IsClosing() || n.T.Protocol() == nil {
				t.Errorf("%v: exited %v, pid %d", n.T, exited, n.T.Pid())
			}
			rig.Stdin(n).Write([]byte("hello "))
			rig.Stdin(n).Write([]byte("cat"))
			rig.Stdin(n).WriteEOF()
		})
		n.Over(t, 0)
		if string(n.Out[1]) != "hello cat" || len(n.Out[2]) > 0 || n.LostErr != nil ||
			n.PipeErr != [3]error{} {
			t.Errorf("%q, %q, %v, %v", n.Out[1], n.Out[2], n.LostErr, n.PipeErr)
		}
		if want := []string{"made"}; !slices.Equal(n.Events[:1], want) || len(n.Events) != 7 {
			t.Error(n.Events)
		}
		looptest.Do(l, func() {
			if !n.T.IsClosing() || n.T.Protocol() != nil {
				t.Error("not closing after the end")
			}
			if err := n.T.Kill(); !errors.Is(err, os.ErrProcessDone) {
				t.Error(err)
			}
			n.T.Close()
		})
	})
}

func TestS316_ReturnCodes(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		o := &subprocess.Options{Stdin: subprocess.DevNull, Stdout: subprocess.DevNull,
			Stderr: subprocess.DevNull}
		rig.Launch(t, l, rig.NewProcessRecorder(t), o, "true").Over(t, 0)
		rig.Launch(t, l, rig.NewProcessRecorder(t), o, "false").Over(t, 1)
		// Not SIGHUP: a child ignores it where its parent was started with nohup.
		for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGUSR1} {
			n := rig.Launch(t, l, rig.NewProcessRecorder(t), o, "sleep", "infinity")
			looptest.Do(l, func() {
				var err error
				switch sig {
				case syscall.SIGKILL:
					err = n.T.Kill()
				case syscall.SIGTERM:
					err = n.T.Terminate()
				default:
					err = n.T.SendSignal(sig)
				}
				if err != nil {
					t.Error(err)
				}
			})
			n.Over(t, -int(sig))
		}
	})
}

func TestS318_InvalidSignalsAndSignalsAfterTheExitAreErrors(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := rig.Launch(t, l, rig.NewProcessRecorder(t), nil, "cat")
		looptest.Do(l, func() {
			for _, sig := range []os.Signal{syscall.Signal(99), syscall.Signal(-1), nil} {
				err := n.T.SendSignal(sig)
				if !errors.Is(err, subprocess.ErrSignal) || !errors.Is(err, syscall.EINVAL) {
					t.Errorf("%v: %v", sig, err)
				}
			}
			if err := n.T.SendSignal(syscall.Signal(0)); err != nil {
				t.Error(err)
			}
			for range 3 { // the first ends it, the others race with that
				if err := n.T.Kill(); err != nil {
					t.Error(err)
				}
			}
		})
		n.Over(t, -9)
		looptest.Do(l, func() {
			if err := n.T.Terminate(); !errors.Is(err, os.ErrProcessDone) {
				t.Error(err)
			}
		})
	})
}

func TestS306_SpawnErrorsSayWhatAndLeaveNothing(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		dir := t.TempDir()
		plain := filepath.Join(dir, "plain")
		if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			args []string
			o    subprocess.Options
			want error
			text string
		}{
			{[]string{"no-such-program"}, subprocess.Options{}, fs.ErrNotExist, "no-such-program"},
			{[]string{"/no/such"}, subprocess.Options{}, fs.ErrNotExist, "/no/such"},
			{[]string{plain}, subprocess.Options{}, fs.ErrPermission, plain},
			{[]string{"plain"}, subprocess.Options{Env: []string{"PATH=" + dir}},
				fs.ErrPermission, "plain"},
			{[]string{"true"}, subprocess.Options{Dir: "/no/such"}, fs.ErrNotExist,
				"chdir /no/such"},
			{[]string{"true"}, subprocess.Options{Dir: plain}, syscall.ENOTDIR, "chdir"},
			{nil, subprocess.Options{}, subprocess.ErrNoProgram, ""},
			{[]string{"true"}, subprocess.Options{Stdin: subprocess.Stdout},
				subprocess.ErrStdio, ""},
			{[]string{"true"}, subprocess.Options{Stdin: subprocess.File(nil)},
				subprocess.ErrStdio, ""},
		} {
			n := rig.NewProcessRecorder(t)
			tr, err := l.SubprocessExec(t.Context(), n, c.args, &c.o)
			if tr != nil || !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.text) {
				t.Errorf("%v: %v, want %v", c.args, err, c.want)
			}
			if len(n.Events) > 0 {
				t.Error(n.Events)
			}
		}
		if _, err := l.SubprocessExec(t.Context(), nil, []string{"true"}, nil); !errors.Is(err,
			transport.ErrNilProtocol) {
			t.Error(err)
		}
		rig.WaitChildless(t)
	})
}

// A simulated kernel knows its own programs alone.
func TestS306_MissingProgram(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		_, err := l.SubprocessExec(t.Context(), rig.NewProcessRecorder(t),
			[]string{"no-such-program"}, nil)
		if !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
}

func TestS314_CloseKillsAndClosesThePipes(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := rig.Launch(t, l, rig.NewProcessRecorder(t), nil, "sleep", "infinity")
		looptest.Do(l, func() {
			n.T.Close()
			n.T.Close()
			if !n.T.IsClosing() {
				t.Error("not closing")
			}
			for fd := range 3 {
				if !n.T.PipeTransport(fd).IsClosing() {
					t.Errorf("Close has left pipe %d open", fd)
				}
			}
		})
		n.Over(t, -9)
		if n.LostErr != nil || n.PipeErr != [3]error{} {
			t.Error(n.LostErr, n.PipeErr)
		}
	})
}

func TestS309_UnsentInputIsEPIPE(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := rig.Launch(t, l, rig.NewProcessRecorder(t), nil, "sleep", "infinity")
		looptest.Do(l, func() {
			rig.Stdin(n).Write(make([]byte, 4<<20))
			n.T.Close()
		})
		n.Over(t, -9)
		if !errors.Is(n.PipeErr[0], syscall.EPIPE) || n.PipeErr[1] != nil || n.PipeErr[2] != nil ||
			!n.Has("pause") {
			t.Error(n.PipeErr, n.Events)
		}
		for _, event := range []string{"closed 0", "closed 1", "closed 2"} {
			if !n.Has(event) {
				t.Errorf("no PipeConnectionLost: %q of %v", event, n.Events)
			}
		}
	})
}

func TestS320_BackPressureOfAChildsInput(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewProcessRecorder(t)
		n.On["made"] = func() {
			n.T.PipeTransport(1).(transport.ReadTransport).PauseReading()
		}
		rig.Launch(t, l, n, noErr(), "cat")
		want := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB
		looptest.Do(l, func() {
			rig.Stdin(n).Write(want)
			rig.Stdin(n).WriteEOF()
		})
		looptest.Pass(t, l, 20*time.Millisecond)
		looptest.Do(l, func() {
			// A simulated cat reads ahead.
			ahead := l.Engine().String() != "sim" && (n.Has("resume") || n.Has("exited"))
			if !n.Has("pause") || ahead || len(n.Out[1]) > 0 {
				t.Error(n.Events)
			}
			n.T.PipeTransport(1).(transport.ReadTransport).ResumeReading()
		})
		n.Over(t, 0)
		if !n.Has("resume") || !bytes.Equal(n.Out[1], want) {
			t.Errorf("%d bytes of %d, %v", len(n.Out[1]), len(want), n.Events)
		}
	})
}

func TestS328_WhatWasWrittenBeforeTheExitIsDeliveredAfterIt(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewProcessRecorder(t)
		n.On["made"] = func() {
			n.T.PipeTransport(1).(transport.ReadTransport).PauseReading()
		}
		rig.Launch(t, l, n, noErr(), "echo", "the last words")
		looptest.WaitFor(t, l, "the exit", func() bool { return n.Has("exited") })
		looptest.Do(l, func() {
			if len(n.Out[1]) > 0 || n.Has("closed 1") {
				t.Error(n.Events)
			}
			n.T.PipeTransport(1).(transport.ReadTransport).ResumeReading()
		})
		n.Over(t, 0)
		if string(n.Out[1]) != "the last words\n" {
			t.Errorf("%q, %v", n.Out[1], n.Events)
		}
	})
}

func TestS322_StderrIntoStdout(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewProcessRecorder(t)
		o := &subprocess.Options{Stdin: subprocess.DevNull, Stderr: subprocess.Stdout}
		_, err := l.SubprocessShell(rig.WithTimeout(t), n, "echo out; echo err >&2; exit 3", o)
		if err != nil {
			t.Fatal(err)
		}
		n.Over(t, 3)
		if string(n.Out[1]) != "out\nerr\n" || n.T.PipeTransport(2) != nil ||
			n.T.PipeTransport(0) != nil {
			t.Errorf("%q", n.Out[1])
		}
	})
}

func TestS323_FilesAndDevnull(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		in, err := os.CreateTemp(t.TempDir(), "in")
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		fmt.Fprint(in, "one two three\n")
		in.Seek(0, 0)
		n := rig.Launch(t, l, rig.NewProcessRecorder(t),
			&subprocess.Options{Stdin: subprocess.File(in),
				Stderr: subprocess.DevNull}, "wc", "-w")
		n.Over(t, 0)
		if strings.TrimSpace(string(n.Out[1])) != "3" {
			t.Errorf("%q", n.Out[1])
		}
		if _, err := in.Stat(); err != nil {
			t.Errorf("the caller's file: %v", err)
		}
		n = rig.Launch(t, l, rig.NewProcessRecorder(t),
			&subprocess.Options{Stdin: subprocess.DevNull,
				Stderr: subprocess.Inherit}, "cat")
		n.Over(t, 0)
		if len(n.Out[1]) > 0 {
			t.Errorf("%q", n.Out[1])
		}
	})
}

func TestS335_EnvironmentDirectoryAndExecutable(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		dir, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		r, w := rig.Pipe(t)
		n := rig.Launch(t, l, rig.NewProcessRecorder(t), &subprocess.Options{
			Dir: dir, Env: []string{"WHO=me"},
			Executable: "/bin/sh", ExtraFiles: []*os.File{w},
			Attr: &syscall.SysProcAttr{Setsid: true}},
			"shell", "-c", "echo $0 $WHO $(pwd); echo extra >&3")
		n.Over(t, 0)
		if want := "shell me " + dir + "\n"; string(n.Out[1]) != want {
			t.Errorf("%q, want %q; %q", n.Out[1], want, n.Out[2])
		}
		w.Close()
		b := make([]byte, 10)
		if k, err := r.Read(b); string(b[:k]) != "extra\n" {
			t.Errorf("%q, %v", b[:k], err)
		}
	})
}

func TestS331_ChildInheritsNoOtherDescriptor(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		other := rig.Launch(t, l, rig.NewProcessRecorder(t), nil, "cat") // its pipes are open here
		if !closesOnExec(descriptorOf(t, other.T.PipeTransport(1))) {
			t.Error("the descriptor of a pipe is not close-on-exec")
		}
		n := rig.NewProcessRecorder(t)
		_, err := l.SubprocessShell(rig.WithTimeout(t), n, "ls /proc/self/fd", noErr())
		if err != nil {
			t.Fatal(err)
		}
		n.Over(t, 0)
		for _, fd := range strings.Fields(string(n.Out[1])) {
			var number int
			fmt.Sscan(fd, &number)
			if number > 2 && closesOnExec(number) {
				t.Errorf("the child has our descriptor %d", number)
			}
		}
		looptest.Do(l, func() { rig.Stdin(other).Close() })
		other.Over(t, 0)
	})
}

// closesOnExec reports whether our descriptor fd is there and marked close-on-exec.
// ls has one more of its own, whose number may be one of ours.
func closesOnExec(fd int) bool {
	target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil || !strings.HasPrefix(target, "pipe:") {
		return false
	}
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	return err == nil && bytes.Contains(info, []byte("flags:\t020"))
}

func TestS313_GrandchildThatHoldsAPipe(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewProcessRecorder(t)
		_, err := l.SubprocessShell(rig.WithTimeout(t), n,
			"sleep infinity & echo $!; exit 4", noErr())
		if err != nil {
			t.Fatal(err)
		}
		code, err := subprocess.Wait(rig.WithTimeout(t), n.T)
		if code != 4 || err != nil {
			t.Error(code, err)
		}
		looptest.WaitFor(t, l, "the grandchild's number", func() bool {
			return n.Has("exited") && bytes.HasSuffix(n.Out[1], []byte("\n"))
		})
		looptest.Pass(t, l, 5*time.Millisecond)
		looptest.Do(l, func() {
			if n.Has("lost") {
				t.Error("lost while the grandchild holds a pipe")
			}
			n.T.Close() // 315: does not wait for it
		})
		n.Over(t, 4)
		var pid int
		fmt.Sscan(string(n.Out[1]), &pid)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	})
}

func TestS313_SimulatedGrandchild(t *testing.T) {
	net := looptest.New(t, looptest.Options{Seed: 1})
	var child *looptest.Child
	net.Program("parent", func(c *looptest.Child) {
		child = c
		c.Leave(7)
	})
	n := rig.Launch(t, net.Loop, rig.NewProcessRecorder(t), nil, "parent")
	looptest.WaitFor(t, net.Loop, "ProcessExited", func() bool { return n.Has("exited") })
	looptest.Pass(t, net.Loop, 5*time.Second)
	looptest.Do(net.Loop, func() {
		if n.Has("lost") {
			t.Error("lost before the pipes are")
		}
		child.Stdout.Send([]byte("from the grandchild"))
		for _, p := range []*looptest.Peer{child.Stdin, child.Stdout, child.Stderr} {
			p.Close()
		}
	})
	n.Over(t, 7)
	if string(n.Out[1]) != "from the grandchild" {
		t.Errorf("%q", n.Out[1])
	}
}

func TestS321_ChildClosesItsInput(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewProcessRecorder(t)
		_, err := l.SubprocessShell(rig.WithTimeout(t), n,
			"exec 0<&-; echo; exec sleep infinity", noErr())
		if err != nil {
			t.Fatal(err)
		}
		looptest.WaitFor(t, l, "the end of the input", func() bool { return n.Has("closed 0") })
		looptest.Do(l, func() {
			if n.PipeErr[0] != nil || n.Has("exited") {
				t.Error(n.PipeErr[0], n.Events)
			}
			n.T.Close()
		})
		n.Over(t, -9)
	})
}
