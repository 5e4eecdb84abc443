package child_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/subprocess"
)

// What a child cannot open or write is its affair: it says so itself.
func TestS306_UnwritablePathsAreLeftToTheChild(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		missing := filepath.Join(t.TempDir(), "no", "such", "file")
		n := rig.NewProcessRecorder(t)
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
		n = rig.NewProcessRecorder(t)
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
		n := rig.NewProcessRecorder(t)
		for _, event := range []string{"made", "data 1", "closed 1", "exited", "lost"} {
			n.On[event] = func() { rig.Stall(l) }
		}
		rig.Launch(t, l, n, nil, "echo", "hello").Over(t, 0)
		looptest.Do(l, func() {})
		for _, callback := range []string{"ConnectionMade", "PipeDataReceived",
			"PipeConnectionLost", "ProcessExited", "ConnectionLost"} {
			if !log.Contains("Executing " + callback + " of *rig.ProcessRecorder") {
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
	n := rig.Launch(t, net.Loop, rig.NewProcessRecorder(t), nil, "parent")
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
		n := rig.NewProcessRecorder(t)
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
