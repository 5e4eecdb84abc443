package child_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/subprocess"
	"github.com/sluice-net/sluice/transport"
	"golang.org/x/sys/unix"
)

// A grandchild holds a pipe, so the transport is not over with the exit.
func TestS314_CloseOfAChildThatHasExitedChangesNoReturnCode(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		n := launchShell(t, l, rig.NewProcessRecorder(t), noErr(),
			"exec 3<&0; cat <&3 & exit 5")
		looptest.WaitFor(t, l, "the exit", func() bool { return n.Has("exited") })
		looptest.Do(l, func() {
			if n.Has("lost") || n.T.IsClosing() {
				t.Errorf("over too early: %v", n.Events)
			}
			n.T.Close()
			n.T.Close()
		})
		n.Over(t, 5)
		if n.LostErr != nil || n.PipeErr != [3]error{} {
			t.Error(n.LostErr, n.PipeErr)
		}
	})
}

// A grandchild that does not read holds the input. What a second Close drops is nothing,
// which must not be taken for all of it.
func TestS314_CloseAgainLosesNoError(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		n := launchShell(t, l, rig.NewProcessRecorder(t), noErr(),
			"exec 3<&0; sleep infinity <&3 & echo $!; exit 5")
		looptest.WaitFor(t, l, "the exit", func() bool {
			return n.Has("exited") && bytes.HasSuffix(n.Out[1], []byte("\n"))
		})
		looptest.Do(l, func() {
			rig.Stdin(n).Write(make([]byte, 4<<20))
			n.T.Close()
			n.T.Close()
		})
		n.Over(t, 5)
		if !errors.Is(n.PipeErr[0], syscall.EPIPE) || n.PipeErr[1] != nil {
			t.Errorf("PipeConnectionLost: %v", n.PipeErr)
		}
		var grandchild int
		fmt.Sscan(string(n.Out[1]), &grandchild)
		if err := syscall.Kill(grandchild, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	})
}

func TestS323_AnInheritedStreamIsOurOwn(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		own, err := os.Readlink("/proc/self/fd/2")
		if err != nil {
			t.Skip("needs /proc and a standard error output: ", err)
		}
		n := launchShell(t, l, rig.NewProcessRecorder(t),
			&subprocess.Options{Stdin: subprocess.DevNull,
				Stderr: subprocess.Inherit}, "readlink /proc/self/fd/2; readlink /proc/self/fd/0")
		n.Over(t, 0)
		if want := own + "\n/dev/null\n"; string(n.Out[1]) != want {
			t.Errorf("%q, want %q", n.Out[1], want)
		}
	})
}

// inherited are the open files that the test's process was started with.
var inherited = openFiles()

// openFiles are the open files of this process by number, as /proc names them.
func openFiles() map[string]string {
	files := map[string]string{}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			files[target] = e.Name()
		}
	}
	return files
}

// The engine's own descriptors, pipes of other children, listeners and connections: none
// of them may be in a child.
func TestS331_AChildHasNoOpenFileOfOurs(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		ours := map[string]string{}
		for target, fd := range openFiles() {
			if _, theirs := inherited[target]; !theirs {
				ours[target] = "descriptor " + fd
			}
		}
		note := func(what string, fd int) {
			target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
			if err != nil {
				t.Fatal(err)
			}
			ours[target] = what
		}
		other := rig.Launch(t, l, rig.NewProcessRecorder(t), nil, "cat")
		for fd := range 3 {
			note(fmt.Sprintf("pipe %d of another child", fd),
				descriptorOf(t, other.T.PipeTransport(fd)))
		}
		a := rig.Serve(t, l, "", nil)
		server, _ := a.Dial()
		looptest.Do(l, func() {
			note("a listener", a.Sockets()[0])
			socket, _ := transport.Socket(server.Transport())
			err := socket.Control(func(fd uintptr) { note("a connection", int(fd)) })
			if err != nil {
				t.Error(err)
			}
		})
		n := launchShell(t, l, rig.NewProcessRecorder(t), noErr(),
			"for f in /proc/self/fd/*; do readlink $f; done; true")
		n.Over(t, 0)
		seen := strings.Fields(string(n.Out[1]))
		if len(seen) < 3 {
			t.Errorf("the child saw %q", seen)
		}
		for _, target := range seen {
			if what, leaked := ours[target]; leaked {
				t.Errorf("the child has %s: %s", what, target)
			}
		}
		looptest.Do(l, func() { rig.Stdin(other).Close() })
		other.Over(t, 0)
	})
}

func TestS332_AChildWithAPidfdTakesNoGoroutine(t *testing.T) {
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		t.Skip("needs pidfds: ", err)
	}
	unix.Close(pidfd)
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		before := runtime.NumGoroutine()
		children := make([]*rig.ProcessRecorder, 5)
		for i := range children {
			children[i] = rig.Launch(t, l, rig.NewProcessRecorder(t), noErr(), "cat")
		}
		looptest.WaitFor(t, l, "only goroutines that do not wait for children", func() bool {
			return runtime.NumGoroutine() < before+len(children)
		})
		looptest.Do(l, func() {
			for _, n := range children {
				rig.Stdin(n).Close()
			}
		})
		for _, n := range children {
			n.Over(t, 0)
		}
	})
}

func TestS332_NobodyElsesChildIsWaitedFor(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		cmd := exec.Command("/bin/sh", "-c", "exit 6")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitZombie(t, cmd.Process.Pid)
		rig.Launch(t, l, rig.NewProcessRecorder(t), noErr(), "true").Over(t, 0)
		err := cmd.Wait()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 6 {
			t.Errorf("our own child: %v", err)
		}
	})
}

func TestS334_SeveralLoopsHaveChildrenAtTheSameTime(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
		t.Run(engine.String(), func(t *testing.T) {
			rig.KernelLoop(t, engine) // skips the test where the engine is not to be had
			o := loop.Options{Engine: engine, Loops: 4}
			err := o.Run(rig.WithTimeout(t), func(ctx context.Context, l *loop.Loop) error {
				nurses := make([]*rig.ProcessRecorder, 5)
				for i := range nurses {
					nurses[i] = rig.NewProcessRecorder(t)
					_, err := l.SubprocessExec(ctx, nurses[i], []string{"cat"}, nil)
					if err != nil {
						return err
					}
				}
				for i, n := range nurses {
					looptest.Do(l, func() {
						fmt.Fprint(rig.Stdin(n), "child ", i)
						rig.Stdin(n).Close()
					})
				}
				for i, n := range nurses {
					n.Over(t, 0)
					if string(n.Out[1]) != fmt.Sprint("child ", i) {
						t.Errorf("child %d said %q", i, n.Out[1])
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	rig.WaitChildless(t)
}

func TestS335_SessionAndUser(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		o := noErr()
		o.Attr = &syscall.SysProcAttr{Setsid: true}
		user, group := os.Geteuid(), os.Getegid()
		if user == 0 {
			user, group = 65534, 65534
			o.Attr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: true}
		}
		// Its sixth field is the session.
		n := launchShell(t, l, rig.NewProcessRecorder(t), o,
			"cut -d' ' -f6 /proc/$$/stat; echo $$; id -u; id -g")
		n.Over(t, 0)
		got := bytes.Fields(n.Out[1])
		if len(got) != 4 || !bytes.Equal(got[0], got[1]) {
			t.Errorf("session and process: %q", got)
		} else if string(got[2]) != fmt.Sprint(user) || string(got[3]) != fmt.Sprint(group) {
			t.Errorf("user %s, group %s, want %d and %d", got[2], got[3], user, group)
		}
	})
}

func TestS335_ProcessGroup(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		for _, own := range []bool{false, true} {
			o := noErr()
			o.Attr = &syscall.SysProcAttr{Setpgid: own}
			// The fifth field is the process group.
			n := launchShell(t, l, rig.NewProcessRecorder(t), o,
				"cut -d' ' -f5 /proc/$$/stat")
			n.Over(t, 0)
			want := syscall.Getpgrp()
			if own {
				want = n.T.Pid()
			}
			if got := strings.TrimSpace(string(n.Out[1])); got != fmt.Sprint(want) {
				t.Errorf("process group %s, want %d", got, want)
			}
		}
	})
}
