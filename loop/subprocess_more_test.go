package loop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/subprocess"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// zombies counts the children of this process that nobody has waited for.
func zombies(t *testing.T) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		_, rest, _ := bytes.Cut(stat, []byte(") "))
		var state string
		var parent int
		fmt.Sscan(string(rest), &state, &parent)
		if parent == os.Getpid() && state == "Z" {
			n++
		}
	}
	return n
}

// statements: 332, 334
func TestS312_children_one_after_another_and_all_at_once(t *testing.T) {
	one, all := 250, 50 // 500 in a row, on two engines
	if debug.On || testing.Short() {
		one, all = 20, 20
	}
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		null := &subprocess.Options{Stdin: subprocess.DevNull, Stderr: subprocess.DevNull}
		for range one {
			launch(t, l, newNurse(t), null, "true").over(t, 0)
		}
		nurses := make([]*nurse, all)
		for i := range nurses {
			nurses[i] = newNurse(t)
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
			n.over(t, 0)
			if string(n.out[1]) != fmt.Sprintf("%d\n", i) {
				t.Errorf("child %d said %q", i, n.out[1])
			}
		}
		looptest.WaitFor(t, l, "no zombies", func() bool { return zombies(t) == 0 })
	})
}

// statements: 337
func TestS338_close_of_a_loop_kills_its_children(t *testing.T) {
	for _, shutdown := range []bool{true, false} {
		l, err := loop.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		n := newNurse(t)
		tr, err := l.SubprocessExec(t.Context(), n, []string{"sleep", "infinity"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		pid := tr.Pid()
		if shutdown {
			if err := l.Shutdown(withTimeout(t)); err != nil {
				t.Error(err)
			}
			n.over(t, -9)
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
func TestS300_terminal_is_read_and_written(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		master, slave := openPTY(t)
		shared := duplicateFile(t, slave)
		defer shared.Close()
		in, out := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
		readPipe(t, l, in, duplicateFile(t, slave))
		writePipe(t, l, out, slave)
		if isNonblocking(t, int(shared.Fd())) {
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
		waitLostWith(t, l, in, nil)
		looptest.Do(l, func() { out.Transport().Close() })
		waitLost(t, l, out)
	})
}

// The master's EIO, when nobody has the terminal open any more, is EOF.
func TestS292_hung_up_terminal_is_at_its_end(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		master, slave := openPTY(t)
		r := transporttest.NewRecorder(t)
		readPipe(t, l, r, master)
		if _, err := slave.Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		looptest.WaitFor(t, l, "the last words", func() bool { return r.Received() == 10 })
		slave.Close()
		waitLostWith(t, l, r, nil)
		if !strings.HasSuffix(r.Trace(), "eof, lost <nil>") {
			t.Error(r.Trace())
		}
	})
}

func TestS286_devices_that_cannot_be_polled(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		open := func(path string) *os.File {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Skip("needs ", path)
			}
			return f
		}
		null, zero, out := transporttest.NewRecorder(t), transporttest.NewRecorder(t),
			transporttest.NewRecorder(t)
		readPipe(t, l, null, open("/dev/null"))
		waitTrace(t, l, null, "made, eof, lost <nil>")
		waitLostWith(t, l, null, nil)
		zero.On.Data = func([]byte) { zero.Transport().Close() }
		readPipe(t, l, zero, open("/dev/zero"))
		waitLostWith(t, l, zero, nil)
		writePipe(t, l, out, open("/dev/null"))
		looptest.Do(l, func() {
			out.Transport().Write(make([]byte, 1<<20))
			out.Transport().Close()
		})
		waitLostWith(t, l, out, nil)
	})
}

// Whatever goes wrong, a simulated child is told of in the order of the contract,
// and told of its end.
func TestChildrenSurviveChaos(t *testing.T) {
	seeds := uint64(150)
	if debug.On {
		seeds = 20
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			chaosOfChildren(t, seed)
		})
	}
}

// chaosOfChildren runs some children.
func chaosOfChildren(t *testing.T, seed uint64) {
	faults := looptest.RandomFaults(seed)
	faults.Reset = 0
	n := looptest.New(t, looptest.Options{Seed: seed, Faults: faults})
	r := rand.New(rand.NewPCG(seed, 3))
	n.Program("chatter", func(c *looptest.Child) {
		for range r.IntN(5) {
			c.Stdout.Send(bytes.Repeat([]byte("x"), r.IntN(50_000)))
		}
		c.After(time.Duration(r.IntN(int(50*time.Millisecond))), func() {
			if r.IntN(4) == 0 {
				c.Leave(3)
				c.Stdin.Close()
				c.Stdout.Close()
				c.Stderr.Close()
				return
			}
			c.Exit(3)
		})
	})
	var nurses []*nurse
	pending := 0
	looptest.Do(n.Loop, func() {
		for range 1 + r.IntN(4) {
			k := newNurse(t)
			chaosHooks(n.Loop, k, r)
			nurses = append(nurses, k)
			ctx, cancel := context.WithCancel(context.Background())
			t.Cleanup(cancel)
			program := []string{"chatter", "cat", "sleep"}[r.IntN(3)]
			pending++
			n.SubprocessExecFunc(ctx, k, []string{program, "0.05"}, nil,
				func(_ transport.SubprocessTransport, err error) {
					pending--
					if err != nil && k.t == nil {
						close(k.gone) // it never ran
					}
				})
		}
		n.CallLater(time.Second, func() {
			n.SetFaults(looptest.Faults{})
			for _, k := range nurses {
				if k.t != nil {
					k.t.Close()
				}
			}
		})
	})
	looptest.Pass(t, n.Loop, 15*time.Second)
	looptest.Do(n.Loop, func() {
		if pending > 0 {
			t.Error("a start does not end")
		}
		for _, k := range nurses {
			if k.t != nil && !k.has("lost") {
				t.Errorf("no end: %v, %v", k.events, k.t)
			}
		}
	})
}

// chaosHooks has a nurse do odd things in its callbacks.
func chaosHooks(l *loop.Loop, k *nurse, r *rand.Rand) {
	do := func() {
		switch r.IntN(12) {
		case 0:
			k.t.Close()
		case 1:
			_ = k.t.Terminate() // it may have ended
		case 2, 3:
			if w, ok := k.t.PipeTransport(0).(transport.WriteTransport); ok {
				_, _ = w.Write(make([]byte, r.IntN(100_000))) // it may be closing
			}
		case 4:
			if w, ok := k.t.PipeTransport(0).(transport.WriteTransport); ok {
				_ = w.WriteEOF()
			}
		case 5, 6:
			if p, ok := k.t.PipeTransport(1).(transport.ReadTransport); ok {
				p.PauseReading()
				l.CallLater(time.Duration(r.IntN(3000))*time.Microsecond, p.ResumeReading)
			}
		}
	}
	for _, e := range []string{"made", "data 1", "exited", "closed 0", "closed 1", "pause",
		"resume"} {
		k.on[e] = do
	}
}
