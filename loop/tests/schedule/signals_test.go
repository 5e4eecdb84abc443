package schedule_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
)

// signalEnv names the signal that a test in a process of its own sends itself.
const signalEnv = "SLUICE_TEST_SIGNAL"

// deadly are signals of which a Go program dies by default.
var deadly = []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}

// harmless are others, which have handlers at the same time.
var harmless = []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM,
	syscall.SIGWINCH, syscall.SIGIO, syscall.SIGVTALRM, syscall.SIGCHLD, syscall.SIGPWR}

// dies runs the calling test once more for each of several signals, in a process of its
// own, and checks that it dies of that signal. The process adds handlers for them all,
// calls prepare, which panics if something is wrong, and sends itself the signal.
func dies(t *testing.T, prepare func(l *loop.Loop)) {
	t.Helper()
	if name := os.Getenv(signalEnv); name != "" {
		l := idle(t)
		for _, sig := range append(harmless, deadly...) {
			if err := l.AddSignalHandler(sig, func() {}); err != nil {
				panic(err)
			}
		}
		prepare(l)
		for _, sig := range deadly {
			if sig.String() == name {
				kill(t, sig)
			}
		}
		select {} // the signal is on its way, perhaps to another thread
	}
	for _, sig := range deadly {
		if !signal.Ignored(sig) { // as SIGINT is in the background of a shell
			diesOf(t, sig)
		}
	}
}

// diesOf runs the calling test in a process of its own, which must die of sig.
func diesOf(t *testing.T, sig syscall.Signal) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Skip("needs to know its own executable: ", err)
	}
	cmd := exec.CommandContext(rig.WithTimeout(t), self, "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), signalEnv+"="+sig.String())
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != sig {
		t.Errorf("%v instead of dying of %v: %s", err, sig, out)
	}
}

func TestS401_RemoveSignalHandlerRestoresTheDefault(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	dies(t, func(l *loop.Loop) {
		for _, sig := range deadly {
			if !l.RemoveSignalHandler(sig) || l.RemoveSignalHandler(sig) {
				panic("RemoveSignalHandler does not tell")
			}
		}
	})
}

func TestS403_CloseRestoresTheDefaultOfSignals(t *testing.T) {
	dies(t, func(l *loop.Loop) {
		if err := l.Close(); err != nil {
			panic(err)
		}
	})
}

// The loop's thread sleeps in the engine when the signal comes, so that its system call
// ends with EINTR: unlike others, it is not restarted (signal(7)).
func TestS405_ASignalThatInterruptsTheWaitIsNotNoticed(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		thread, handled := 0, make(chan struct{}, 1)
		looptest.Do(l, func() {
			thread = syscall.Gettid()
			err := l.AddSignalHandler(syscall.SIGUSR1, func() { handled <- struct{}{} })
			if err != nil {
				t.Error(err)
			}
		})
		for range 10 {
			waitSleeping(t, thread)
			if err := syscall.Tgkill(os.Getpid(), thread, syscall.SIGUSR1); err != nil {
				t.Fatal(err)
			}
			select {
			case <-handled:
			case <-time.After(looptest.WaitTimeout):
				t.Fatal("the handler is not called")
			}
		}
		looptest.Do(l, func() {
			client.Transport().Write([]byte("and on"))
			l.RemoveSignalHandler(syscall.SIGUSR1)
		})
		rig.WaitData(t, l, server, []byte("and on"))
		if server.Trace() != "made, data 6" || client.Trace() != "made" {
			t.Errorf("callbacks %s; %s", server.Trace(), client.Trace())
		}
	})
}

// waitSleeping waits until a thread of this process sleeps in a system call.
func waitSleeping(t *testing.T, thread int) {
	t.Helper()
	for end := time.Now().Add(looptest.WaitTimeout); ; runtime.Gosched() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", thread))
		if err != nil {
			t.Skip("needs /proc: ", err)
		}
		if _, state, _ := bytes.Cut(stat, []byte(") ")); bytes.HasPrefix(state, []byte("S")) {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the loop does not sleep")
		}
	}
}

// The loop's own thread is interrupted, in whatever call it is.
func TestS405_ProtocolsDoNotSeeThatSignalsInterrupt(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		handled, thread := 0, 0
		looptest.Do(l, func() {
			thread = syscall.Gettid()
			if err := l.AddSignalHandler(syscall.SIGUSR1, func() { handled++ }); err != nil {
				t.Error(err)
			}
		})
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
					syscall.Tgkill(os.Getpid(), thread, syscall.SIGUSR1)
					looptest.Turns(l, 1) // so that it gets on
				}
			}
		}()
		const size = 4 << 20
		looptest.Do(l, func() {
			client.Transport().Write(make([]byte, size))
			client.Transport().WriteEOF()
		})
		looptest.WaitFor(t, l, "the end", server.GotEOF)
		looptest.WaitFor(t, l, "a signal", func() bool { return handled > 0 })
		close(stop)
		<-stopped
		rig.WaitLost(t, l, server)
		if _, err := server.Lost(); err != nil || server.Received() != size {
			t.Errorf("ConnectionLost(%v) after %d bytes of %d", err, server.Received(), size)
		}
		rig.WaitLost(t, l, client)
		if _, err := client.Lost(); err != nil {
			t.Errorf("the client's ConnectionLost(%v)", err)
		}
		looptest.Do(l, func() { l.RemoveSignalHandler(syscall.SIGUSR1) })
	})
}
