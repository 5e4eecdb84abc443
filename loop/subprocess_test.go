package loop_test

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
	"github.com/sluice-net/sluice/subprocess"
	"github.com/sluice-net/sluice/transport"
)

// nurse is a protocol that writes down what a child does, and checks the order.
type nurse struct {
	test    *testing.T
	t       transport.SubprocessTransport
	out     [3][]byte
	events  []string
	pipeErr [3]error
	lostErr error
	on      map[string]func()
	gone    chan struct{}
}

func newNurse(t *testing.T) *nurse {
	return &nurse{test: t, on: map[string]func(){}, gone: make(chan struct{})}
}

func (n *nurse) note(event string) {
	if n.has("lost") || n.t == nil {
		n.test.Errorf("%s after %v", event, n.events)
	}
	if !strings.HasPrefix(event, "data") || !n.has(event) {
		n.events = append(n.events, event)
	}
	if f := n.on[event]; f != nil {
		f()
	}
}

func (n *nurse) has(event string) bool { return slices.Contains(n.events, event) }

func (n *nurse) ConnectionMade(t transport.SubprocessTransport) {
	if n.t != nil {
		n.test.Error("ConnectionMade twice")
	}
	n.t = t
	n.note("made")
}

func (n *nurse) PipeDataReceived(fd int, data []byte) {
	if len(data) == 0 || n.has(fmt.Sprint("closed ", fd)) {
		n.test.Errorf("%d bytes of %d after %v", len(data), fd, n.events)
	}
	n.out[fd] = append(n.out[fd], data...)
	n.note(fmt.Sprint("data ", fd))
}

func (n *nurse) PipeConnectionLost(fd int, err error) {
	if n.has(fmt.Sprint("closed ", fd)) {
		n.test.Error("PipeConnectionLost twice")
	}
	n.pipeErr[fd] = err
	n.note(fmt.Sprint("closed ", fd))
}

func (n *nurse) ProcessExited() {
	if _, exited := n.t.ReturnCode(); !exited || n.has("exited") {
		n.test.Error("ProcessExited without a return code, or twice")
	}
	n.note("exited")
}

func (n *nurse) ConnectionLost(err error) {
	for fd := range 3 {
		if n.t.PipeTransport(fd) != nil && !n.has(fmt.Sprint("closed ", fd)) {
			n.test.Errorf("ConnectionLost with pipe %d open", fd)
		}
	}
	n.lostErr = err
	n.note("lost")
	close(n.gone)
}

func (n *nurse) PauseWriting()  { n.note("pause") }
func (n *nurse) ResumeWriting() { n.note("resume") }

// launch starts a child.
func launch(t *testing.T, l *loop.Loop, n *nurse, o *subprocess.Options, args ...string) *nurse {
	t.Helper()
	tr, err := subprocess.Start(withTimeout(t), l, n, args, o)
	if err != nil {
		t.Fatal(err)
	}
	if tr != n.t {
		t.Error("another transport")
	}
	return n
}

// over waits for ConnectionLost and compares the return code.
func (n *nurse) over(t *testing.T, code int) {
	t.Helper()
	select {
	case <-n.gone:
	case <-time.After(looptest.Patience):
		t.Fatalf("no ConnectionLost: %v of %v", n.events, n.t)
	}
	if got, exited := n.t.ReturnCode(); got != code || !exited || !n.has("exited") {
		t.Errorf("return code %d, %v, want %d: %v", got, exited, code, n.events)
	}
}

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

func stdin(n *nurse) transport.WriteTransport {
	return n.t.PipeTransport(0).(transport.WriteTransport)
}

// noErr leaves the error output out.
func noErr() *subprocess.Options { return &subprocess.Options{Stderr: subprocess.DevNull} }

// statements: 304, 307, 308, 309, 310, 311, 312, 316, 317, 319
func TestS304_CatEchoesWhatItIsSent(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := launch(t, l, newNurse(t), nil, "cat")
		looptest.Do(l, func() {
			_, reads := n.t.PipeTransport(1).(transport.ReadTransport)
			if _, exited := n.t.ReturnCode(); exited || n.t.Pid() <= 0 || !reads ||
				n.t.PipeTransport(2) == nil || n.t.PipeTransport(3) != nil ||
				n.t.IsClosing() || n.t.Protocol() == nil {
				t.Errorf("%v: exited %v, pid %d", n.t, exited, n.t.Pid())
			}
			stdin(n).Write([]byte("hello "))
			stdin(n).Write([]byte("cat"))
			stdin(n).WriteEOF()
		})
		n.over(t, 0)
		if string(n.out[1]) != "hello cat" || len(n.out[2]) > 0 || n.lostErr != nil ||
			n.pipeErr != [3]error{} {
			t.Errorf("%q, %q, %v, %v", n.out[1], n.out[2], n.lostErr, n.pipeErr)
		}
		if want := []string{"made"}; !slices.Equal(n.events[:1], want) || len(n.events) != 7 {
			t.Error(n.events)
		}
		looptest.Do(l, func() {
			if !n.t.IsClosing() || n.t.Protocol() != nil {
				t.Error("not closing after the end")
			}
			if err := n.t.Kill(); !errors.Is(err, os.ErrProcessDone) {
				t.Error(err)
			}
			n.t.Close()
		})
	})
}

func TestS316_ReturnCodes(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		o := &subprocess.Options{Stdin: subprocess.DevNull, Stdout: subprocess.DevNull,
			Stderr: subprocess.DevNull}
		launch(t, l, newNurse(t), o, "true").over(t, 0)
		launch(t, l, newNurse(t), o, "false").over(t, 1)
		// Not SIGHUP: a child ignores it where its parent was started with nohup.
		for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGUSR1} {
			n := launch(t, l, newNurse(t), o, "sleep", "infinity")
			looptest.Do(l, func() {
				var err error
				switch sig {
				case syscall.SIGKILL:
					err = n.t.Kill()
				case syscall.SIGTERM:
					err = n.t.Terminate()
				default:
					err = n.t.SendSignal(sig)
				}
				if err != nil {
					t.Error(err)
				}
			})
			n.over(t, -int(sig))
		}
	})
}

func TestS318_SignalsThatAreNoneAndAfterTheEnd(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := launch(t, l, newNurse(t), nil, "cat")
		looptest.Do(l, func() {
			for _, sig := range []os.Signal{syscall.Signal(99), syscall.Signal(-1), nil} {
				err := n.t.SendSignal(sig)
				if !errors.Is(err, subprocess.ErrSignal) || !errors.Is(err, syscall.EINVAL) {
					t.Errorf("%v: %v", sig, err)
				}
			}
			if err := n.t.SendSignal(syscall.Signal(0)); err != nil {
				t.Error(err)
			}
			for range 3 { // the first ends it, the others race with that
				if err := n.t.Kill(); err != nil {
					t.Error(err)
				}
			}
		})
		n.over(t, -9)
		looptest.Do(l, func() {
			if err := n.t.Terminate(); !errors.Is(err, os.ErrProcessDone) {
				t.Error(err)
			}
		})
	})
}

func TestS306_SpawnErrorsSayWhatAndLeaveNothing(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
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
			n := newNurse(t)
			tr, err := l.SubprocessExec(t.Context(), n, c.args, &c.o)
			if tr != nil || !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.text) {
				t.Errorf("%v: %v, want %v", c.args, err, c.want)
			}
			if len(n.events) > 0 {
				t.Error(n.events)
			}
		}
		if _, err := l.SubprocessExec(t.Context(), nil, []string{"true"}, nil); !errors.Is(err,
			transport.ErrNilProtocol) {
			t.Error(err)
		}
	})
}

// A simulated kernel knows its own programs alone.
func TestS306_MissingProgram(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		_, err := l.SubprocessExec(t.Context(), newNurse(t), []string{"no-such-program"}, nil)
		if !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
}

// statements: 315
func TestS314_CloseKillsAndClosesThePipes(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := launch(t, l, newNurse(t), nil, "sleep", "infinity")
		looptest.Do(l, func() {
			n.t.Close()
			n.t.Close()
			if !n.t.IsClosing() {
				t.Error("not closing")
			}
		})
		n.over(t, -9)
		if n.lostErr != nil || n.pipeErr != [3]error{} {
			t.Error(n.lostErr, n.pipeErr)
		}
	})
}

func TestS309_UnsentInputIsEPIPE(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := launch(t, l, newNurse(t), nil, "sleep", "infinity")
		looptest.Do(l, func() {
			stdin(n).Write(make([]byte, 4<<20))
			n.t.Close()
		})
		n.over(t, -9)
		if !errors.Is(n.pipeErr[0], syscall.EPIPE) || n.pipeErr[1] != nil || !n.has("pause") {
			t.Error(n.pipeErr, n.events)
		}
	})
}

// statements: 327
func TestS320_BackPressureOfAChildsInput(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := newNurse(t)
		n.on["made"] = func() {
			n.t.PipeTransport(1).(transport.ReadTransport).PauseReading()
		}
		launch(t, l, n, noErr(), "cat")
		want := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB
		looptest.Do(l, func() {
			stdin(n).Write(want)
			stdin(n).WriteEOF()
		})
		looptest.Pass(t, l, 20*time.Millisecond)
		looptest.Do(l, func() {
			// A simulated cat reads ahead.
			ahead := l.Engine().String() != "sim" && (n.has("resume") || n.has("exited"))
			if !n.has("pause") || ahead || len(n.out[1]) > 0 {
				t.Error(n.events)
			}
			n.t.PipeTransport(1).(transport.ReadTransport).ResumeReading()
		})
		n.over(t, 0)
		if !n.has("resume") || !bytes.Equal(n.out[1], want) {
			t.Errorf("%d bytes of %d, %v", len(n.out[1]), len(want), n.events)
		}
	})
}

func TestS328_WhatWasWrittenBeforeTheExitIsDeliveredAfterIt(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := newNurse(t)
		n.on["made"] = func() {
			n.t.PipeTransport(1).(transport.ReadTransport).PauseReading()
		}
		launch(t, l, n, noErr(), "echo", "the last words")
		looptest.WaitFor(t, l, "the exit", func() bool { return n.has("exited") })
		looptest.Do(l, func() {
			if len(n.out[1]) > 0 || n.has("closed 1") {
				t.Error(n.events)
			}
			n.t.PipeTransport(1).(transport.ReadTransport).ResumeReading()
		})
		n.over(t, 0)
		if string(n.out[1]) != "the last words\n" {
			t.Errorf("%q, %v", n.out[1], n.events)
		}
	})
}

func TestS322_StderrIntoStdout(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		n := newNurse(t)
		o := &subprocess.Options{Stdin: subprocess.DevNull, Stderr: subprocess.Stdout}
		_, err := l.SubprocessShell(withTimeout(t), n, "echo out; echo err >&2; exit 3", o)
		if err != nil {
			t.Fatal(err)
		}
		n.over(t, 3)
		if string(n.out[1]) != "out\nerr\n" || n.t.PipeTransport(2) != nil ||
			n.t.PipeTransport(0) != nil {
			t.Errorf("%q", n.out[1])
		}
	})
}

func TestS323_FilesAndDevnull(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		in, err := os.CreateTemp(t.TempDir(), "in")
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		fmt.Fprint(in, "one two three\n")
		in.Seek(0, 0)
		n := launch(t, l, newNurse(t), &subprocess.Options{Stdin: subprocess.File(in),
			Stderr: subprocess.DevNull}, "wc", "-w")
		n.over(t, 0)
		if strings.TrimSpace(string(n.out[1])) != "3" {
			t.Errorf("%q", n.out[1])
		}
		if _, err := in.Stat(); err != nil {
			t.Errorf("the caller's file: %v", err)
		}
		n = launch(t, l, newNurse(t), &subprocess.Options{Stdin: subprocess.DevNull,
			Stderr: subprocess.Inherit}, "cat")
		n.over(t, 0)
		if len(n.out[1]) > 0 {
			t.Errorf("%q", n.out[1])
		}
	})
}

func TestS335_EnvironmentDirectoryAndExecutable(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		dir, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		r, w := osPipe(t)
		n := launch(t, l, newNurse(t), &subprocess.Options{Dir: dir, Env: []string{"WHO=me"},
			Executable: "/bin/sh", ExtraFiles: []*os.File{w},
			Attr: &syscall.SysProcAttr{Setsid: true}},
			"shell", "-c", "echo $0 $WHO $(pwd); echo extra >&3")
		n.over(t, 0)
		if want := "shell me " + dir + "\n"; string(n.out[1]) != want {
			t.Errorf("%q, want %q; %q", n.out[1], want, n.out[2])
		}
		w.Close()
		b := make([]byte, 10)
		if k, err := r.Read(b); string(b[:k]) != "extra\n" {
			t.Errorf("%q, %v", b[:k], err)
		}
	})
}

func TestS331_ChildInheritsNoOtherDescriptor(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		other := launch(t, l, newNurse(t), nil, "cat") // its pipes are open here
		if !closesOnExec(descriptorOf(t, other.t.PipeTransport(1))) {
			t.Error("the descriptor of a pipe is not close-on-exec")
		}
		n := newNurse(t)
		if _, err := l.SubprocessShell(withTimeout(t), n, "ls /proc/self/fd", noErr()); err != nil {
			t.Fatal(err)
		}
		n.over(t, 0)
		for _, fd := range strings.Fields(string(n.out[1])) {
			var number int
			fmt.Sscan(fd, &number)
			if number > 2 && closesOnExec(number) {
				t.Errorf("the child has our descriptor %d", number)
			}
		}
		looptest.Do(l, func() { stdin(other).Close() })
		other.over(t, 0)
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
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		n := newNurse(t)
		_, err := l.SubprocessShell(withTimeout(t), n, "sleep infinity & echo $!; exit 4", noErr())
		if err != nil {
			t.Fatal(err)
		}
		code, err := subprocess.Wait(withTimeout(t), n.t)
		if code != 4 || err != nil {
			t.Error(code, err)
		}
		looptest.WaitFor(t, l, "the grandchild's number", func() bool {
			return n.has("exited") && bytes.HasSuffix(n.out[1], []byte("\n"))
		})
		looptest.Pass(t, l, 5*time.Millisecond)
		looptest.Do(l, func() {
			if n.has("lost") {
				t.Error("lost while the grandchild holds a pipe")
			}
			n.t.Close() // 315: does not wait for it
		})
		n.over(t, 4)
		var pid int
		fmt.Sscan(string(n.out[1]), &pid)
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
	n := launch(t, net.Loop, newNurse(t), nil, "parent")
	looptest.WaitFor(t, net.Loop, "ProcessExited", func() bool { return n.has("exited") })
	looptest.Pass(t, net.Loop, 5*time.Second)
	looptest.Do(net.Loop, func() {
		if n.has("lost") {
			t.Error("lost before the pipes are")
		}
		child.Stdout.Send([]byte("from the grandchild"))
		for _, p := range []*looptest.Peer{child.Stdin, child.Stdout, child.Stderr} {
			p.Close()
		}
	})
	n.over(t, 7)
	if string(n.out[1]) != "from the grandchild" {
		t.Errorf("%q", n.out[1])
	}
}

func TestS321_ChildClosesItsInput(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		n := newNurse(t)
		if _, err := l.SubprocessShell(withTimeout(t), n, "exec 0<&-; echo; exec sleep infinity",
			noErr()); err != nil {
			t.Fatal(err)
		}
		looptest.WaitFor(t, l, "the end of the input", func() bool { return n.has("closed 0") })
		looptest.Do(l, func() {
			if n.pipeErr[0] != nil || n.has("exited") {
				t.Error(n.pipeErr[0], n.events)
			}
			n.t.Close()
		})
		n.over(t, -9)
	})
}
