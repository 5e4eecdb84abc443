package loop

import (
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

// StartProcess implements subprocess.Loop.
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
	child = subprocess.Start(oldParent{parent{l}}, p, subprocess.Command{Args: args}, done,
		func() { l.forgetChild(child) })
	l.children = append(l.children, child)
}
