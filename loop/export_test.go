package loop

import (
	"os"
	"syscall"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/subprocess"
	"github.com/sluice-net/sluice/transport"
)

// oldParent is a loop on a kernel without pidfds.
type oldParent struct{ parent }

// oldProcess is a child on such a kernel.
type oldProcess struct{ subprocess.Process }

// PidFD implements subprocess.Process.
func (oldProcess) PidFD() int { return -1 }

// StartProcess implements subprocess.Host.
func (h oldParent) StartProcess(c *subprocess.Command, done func(subprocess.Process, error)) {
	h.parent.StartProcess(c, func(p subprocess.Process, err error) {
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
	var child *subprocess.Child
	child = subprocess.Spawn(oldParent{parent{l}}, p, subprocess.Command{Args: args}, done,
		func() { l.forgetChild(child) })
	l.children = append(l.children, child)
}

// heldParent is a loop whose starts end when they are told to.
type heldParent struct {
	parent
	held *func()
}

// StartProcess implements subprocess.Host.
func (h heldParent) StartProcess(c *subprocess.Command, done func(subprocess.Process, error)) {
	h.parent.StartProcess(c, func(p subprocess.Process, err error) {
		*h.held = func() { done(p, err) }
	})
}

// SubprocessHeld is SubprocessExecFunc, but for the last step of the start, which
// *held does once that is not nil. It returns how to give the start up.
func (l *Loop) SubprocessHeld(p protocol.SubprocessProtocol, args []string, held *func(),
	done func(transport.SubprocessTransport, error)) (cancel func(error)) {
	var child *subprocess.Child
	child = subprocess.Spawn(heldParent{parent{l}, held}, p, subprocess.Command{Args: args}, done,
		func() { l.forgetChild(child) })
	l.children = append(l.children, child)
	return child.Cancel
}

// brokenParent is a loop that cannot connect the pipes of a child's output.
type brokenParent struct{ parent }

// ConnectReadPipeFunc implements subprocess.Host.
func (brokenParent) ConnectReadPipeFunc(_ protocol.Protocol, f *os.File,
	done func(transport.ReadTransport, error)) {
	f.Close()
	done(nil, syscall.EMFILE)
}

// SubprocessWithoutOutput is SubprocessExecFunc where the first pipe can be had and
// no other.
func (l *Loop) SubprocessWithoutOutput(p protocol.SubprocessProtocol, args []string,
	done func(transport.SubprocessTransport, error)) {
	var child *subprocess.Child
	child = subprocess.Spawn(brokenParent{parent{l}}, p, subprocess.Command{Args: args}, done,
		func() { l.forgetChild(child) })
	l.children = append(l.children, child)
}
