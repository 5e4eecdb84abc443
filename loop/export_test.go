package loop

import (
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/child"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// oldParent is a loop on a kernel without pidfds.
type oldParent struct{ child.Parent }

// oldProcess is a child on such a kernel.
type oldProcess struct{ child.Process }

// PidFD implements child.Process.
func (oldProcess) PidFD() int { return -1 }

// StartProcess implements child.Host.
func (h oldParent) StartProcess(c *child.Command, done func(child.Process, error)) {
	h.Parent.StartProcess(c, func(p child.Process, err error) {
		if err == nil {
			syscall.Close(p.PidFD())
			p = oldProcess{p}
		}
		done(p, err)
	})
}

// SubprocessWithoutPidfd is SubprocessExecFunc as on a kernel without pidfds.
func (l *Loop) SubprocessWithoutPidfd(p protocol.SubprocessProtocol, args []string,
	done func(transport.SubprocessTransport, error)) {
	var made *child.Child
	made = child.Spawn(oldParent{l.childHost()}, p, child.Command{Args: args}, done,
		func() { l.remove(openChild{made}) })
	l.open.Add(openChild{made})
}

// heldParent is a loop whose starts end when they are told to.
type heldParent struct {
	child.Parent
	held *func()
}

// StartProcess implements child.Host.
func (h heldParent) StartProcess(c *child.Command, done func(child.Process, error)) {
	h.Parent.StartProcess(c, func(p child.Process, err error) {
		*h.held = func() { done(p, err) }
	})
}

// SubprocessHeld is SubprocessExecFunc without the last step of the start: *held, once it
// is not nil, performs that step. It returns a function that gives the start up.
func (l *Loop) SubprocessHeld(p protocol.SubprocessProtocol, args []string, held *func(),
	done func(transport.SubprocessTransport, error)) (cancel func(error)) {
	var made *child.Child
	made = child.Spawn(heldParent{l.childHost(), held}, p, child.Command{Args: args}, done,
		func() { l.remove(openChild{made}) })
	l.open.Add(openChild{made})
	return made.Cancel
}

// brokenParent is a loop that cannot connect the pipes of a child's output.
type brokenParent struct{ child.Parent }

// ConnectReadPipeFunc implements child.Host.
func (brokenParent) ConnectReadPipeFunc(_ protocol.Protocol, f *os.File,
	done func(transport.ReadTransport, error)) {
	f.Close()
	done(nil, syscall.EMFILE)
}

// SubprocessWithoutOutput is SubprocessExecFunc on a loop that connects the pipe of the
// child's input, but not those of its output.
func (l *Loop) SubprocessWithoutOutput(p protocol.SubprocessProtocol, args []string,
	done func(transport.SubprocessTransport, error)) {
	var made *child.Child
	made = child.Spawn(brokenParent{l.childHost()}, p, child.Command{Args: args}, done,
		func() { l.remove(openChild{made}) })
	l.open.Add(openChild{made})
}
