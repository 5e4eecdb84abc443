package schedule_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport/transporttest"
)

const refusalLaterEnv = "SLUICE_TEST_REFUSAL_LATER"

// A sandbox that is put in place while loops run ends them, with its errno. Whoever
// had an open transport is told, and the next loop uses epoll and says why.
func TestARingThatIsForbiddenLaterIsTheEndOfItsTransports(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for _, call := range []string{"enter", "all"} {
		t.Run(call, func(t *testing.T) {
			child := exec.CommandContext(t.Context(), os.Args[0],
				"-test.run=^TestForbiddenLaterChild$", "-test.v", "-test.timeout=30s")
			child.Env = append(os.Environ(), refusalLaterEnv+"="+call, loop.EngineEnv+"=")
			out, err := child.CombinedOutput()
			switch text := string(out); {
			case strings.Contains(text, "needs "):
				t.Skip("needs seccomp filters and io_uring")
			case err != nil:
				t.Errorf("%v\n%s", err, text)
			case !strings.Contains(text, "--- PASS: TestForbiddenLaterChild"):
				t.Errorf("the child did not run the test:\n%s", text)
			}
		})
	}
}

// TestForbiddenLaterChild is the child of the test above.
func TestForbiddenLaterChild(t *testing.T) {
	calls := enterCall
	switch os.Getenv(refusalLaterEnv) {
	case "":
		t.Skip("needs a parent, which runs it")
	case "all":
		calls = allCalls
	}
	l, err := loop.New(&loop.Options{Engine: loop.Uring})
	if err != nil {
		t.Skip("needs io_uring:", err)
	}
	defer l.Close()
	ended := make(chan error, 1)
	go func() { ended <- l.RunForever() }()
	server, client := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
	mail := &rig.DatagramRecorder{}
	s, err := l.CreateServer(t.Context(), func() protocol.Protocol { return server },
		"127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.CreateConnection(t.Context(), client, s.Addrs()[0].String(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := l.CreateDatagramEndpoint(t.Context(), mail,
		&loop.DatagramOptions{LocalAddr: "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	looptest.WaitFor(t, l, "the server's end", func() bool { return server.Transport() != nil })
	released := false
	looptest.Do(l, func() {
		client.Transport().(interface {
			WriteOwned(p []byte, release func()) error
		}).WriteOwned(make([]byte, 32<<20), func() { released = true })
	})
	runtime.LockOSThread()
	if err := forbid(calls, syscall.EPERM); err != nil {
		t.Skipf("needs seccomp filters: %v", err)
	}
	if err := <-ended; !errors.Is(err, syscall.EPERM) {
		t.Errorf("RunForever: %v", err)
	}
	for name, r := range map[string]*transporttest.Recorder{"server": server, "client": client} {
		if was, err := r.Lost(); !was || !errors.Is(err, syscall.EPERM) {
			t.Errorf("%s: lost %v, %v", name, was, err)
		}
	}
	if !errors.Is(mail.LostErr, syscall.EPERM) {
		t.Error("endpoint:", mail.Events, mail.LostErr)
	}
	if !released {
		t.Error("a slice that was given away was not released")
	}
	err = loop.Run(t.Context(), func(ctx context.Context, l *loop.Loop) error {
		if l.Engine() != loop.Epoll || !strings.Contains(l.Why(), "seccomp") {
			t.Errorf("the next loop: %v, because %q", l.Engine(), l.Why())
		}
		return echoOnce(ctx, l, t)
	})
	if err != nil {
		t.Error("the next loop:", err)
	}
}
