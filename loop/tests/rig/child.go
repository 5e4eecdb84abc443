package rig

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
	"github.com/sluice-net/sluice/subprocess"
	"github.com/sluice-net/sluice/transport"
)

// Children counts the children of this process, and those of them that nobody has
// waited for.
func Children(t *testing.T) (all, zombies int) {
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
		if parent != os.Getpid() {
			continue
		}
		all++
		if state == "Z" {
			zombies++
		}
	}
	return all, zombies
}

// WaitChildless waits, without a loop, until this process has no child.
func WaitChildless(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(looptest.WaitTimeout); ; runtime.Gosched() {
		all, _ := Children(t)
		switch {
		case all == 0:
			return
		case time.Now().After(end):
			t.Fatalf("%d children are left", all)
		}
	}
}

// ProcessRecorder is a protocol that writes down what a child does, and checks the order.
type ProcessRecorder struct {
	test    *testing.T
	T       transport.SubprocessTransport // of ConnectionMade
	Out     [3][]byte                     // what came, by descriptor
	Events  []string                      // made, data 1, closed 1, exited, lost, pause, resume
	PipeErr [3]error                      // of PipeConnectionLost, by descriptor
	LostErr error                         // of ConnectionLost
	On      map[string]func()             // what is called in an event, by its name
	Gone    chan struct{}                 // closed by ConnectionLost
}

// NewProcessRecorder makes one for one child.
func NewProcessRecorder(t *testing.T) *ProcessRecorder {
	return &ProcessRecorder{test: t, On: map[string]func(){}, Gone: make(chan struct{})}
}

func (n *ProcessRecorder) note(event string) {
	if n.Has("lost") || n.T == nil {
		n.test.Errorf("%s after %v", event, n.Events)
	}
	if !strings.HasPrefix(event, "data") || !n.Has(event) {
		n.Events = append(n.Events, event)
	}
	if f := n.On[event]; f != nil {
		f()
	}
}

// Has reports whether there was such an event.
func (n *ProcessRecorder) Has(event string) bool { return slices.Contains(n.Events, event) }

// ConnectionMade implements protocol.SubprocessProtocol.
func (n *ProcessRecorder) ConnectionMade(t transport.SubprocessTransport) {
	if n.T != nil {
		n.test.Error("ConnectionMade twice")
	}
	n.T = t
	n.note("made")
}

// PipeDataReceived implements protocol.SubprocessProtocol.
func (n *ProcessRecorder) PipeDataReceived(fd int, data []byte) {
	if len(data) == 0 || n.Has(fmt.Sprint("closed ", fd)) {
		n.test.Errorf("%d bytes of %d after %v", len(data), fd, n.Events)
	}
	n.Out[fd] = append(n.Out[fd], data...)
	n.note(fmt.Sprint("data ", fd))
}

// PipeConnectionLost implements protocol.SubprocessProtocol.
func (n *ProcessRecorder) PipeConnectionLost(fd int, err error) {
	if n.Has(fmt.Sprint("closed ", fd)) {
		n.test.Error("PipeConnectionLost twice")
	}
	n.PipeErr[fd] = err
	n.note(fmt.Sprint("closed ", fd))
}

// ProcessExited implements protocol.SubprocessProtocol.
func (n *ProcessRecorder) ProcessExited() {
	if _, exited := n.T.ReturnCode(); !exited || n.Has("exited") {
		n.test.Error("ProcessExited without a return code, or twice")
	}
	n.note("exited")
}

// ConnectionLost implements protocol.SubprocessProtocol.
func (n *ProcessRecorder) ConnectionLost(err error) {
	for fd := range 3 {
		if n.T.PipeTransport(fd) != nil && !n.Has(fmt.Sprint("closed ", fd)) {
			n.test.Errorf("ConnectionLost with pipe %d open", fd)
		}
	}
	n.LostErr = err
	n.note("lost")
	close(n.Gone)
}

// PauseWriting implements protocol.SubprocessProtocol.
func (n *ProcessRecorder) PauseWriting() { n.note("pause") }

// ResumeWriting implements protocol.SubprocessProtocol.
func (n *ProcessRecorder) ResumeWriting() { n.note("resume") }

// Launch starts a child.
func Launch(t *testing.T, l *loop.Loop, n *ProcessRecorder, o *subprocess.Options,
	args ...string) *ProcessRecorder {
	t.Helper()
	tr, err := subprocess.Start(WithTimeout(t), l, n, args, o)
	if err != nil {
		t.Fatal(err)
	}
	if tr != n.T {
		t.Error("another transport")
	}
	return n
}

// Over waits for ConnectionLost and compares the return code.
func (n *ProcessRecorder) Over(t *testing.T, code int) {
	t.Helper()
	select {
	case <-n.Gone:
	case <-time.After(looptest.WaitTimeout):
		t.Fatalf("no ConnectionLost: %v of %v", n.Events, n.T)
	}
	if got, exited := n.T.ReturnCode(); got != code || !exited || !n.Has("exited") {
		t.Errorf("return code %d, %v, want %d: %v", got, exited, code, n.Events)
	}
}

// Stdin is the transport of the child's input.
func Stdin(n *ProcessRecorder) transport.WriteTransport {
	return n.T.PipeTransport(0).(transport.WriteTransport)
}
