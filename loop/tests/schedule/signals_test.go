package schedule_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
)

// signalEnv has a test of a process of its own send itself a signal.
const signalEnv = "SLUICE_TEST_SIGNAL"

// dies runs the calling test once more, in a process of its own that sends itself
// SIGTERM after prepare, and checks that it dies of that.
func dies(t *testing.T, prepare func(l *loop.Loop)) {
	t.Helper()
	if os.Getenv(signalEnv) != "" {
		l := idle(t)
		if err := l.AddSignalHandler(syscall.SIGTERM, func() {}); err != nil {
			t.Fatal(err)
		}
		prepare(l)
		kill(t, syscall.SIGTERM)
		select {} // the signal is on its way, perhaps to another thread
	}
	self, err := os.Executable()
	if err != nil {
		t.Skip("needs to know its own executable: ", err)
	}
	cmd := exec.CommandContext(rig.WithTimeout(t), self, "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), signalEnv+"=1")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("%v instead of dying of the signal: %s", err, out)
	}
}

func TestS401_RemoveSignalHandlerRestoresTheDefault(t *testing.T) {
	dies(t, func(l *loop.Loop) {
		if !l.RemoveSignalHandler(syscall.SIGTERM) || l.RemoveSignalHandler(syscall.SIGTERM) {
			t.Error("RemoveSignalHandler does not tell")
		}
	})
}

func TestS403_CloseRestoresTheDefaultOfSignals(t *testing.T) {
	dies(t, func(l *loop.Loop) {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
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
