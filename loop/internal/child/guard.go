package child

import "github.com/sluice-net/sluice/loop/internal/guard"

// The callbacks of a SubprocessProtocol besides those that every protocol has. A panic
// ends the child only if it comes from ConnectionMade.
var (
	pipeDataReceived = guard.Harmless("PipeDataReceived",
		"Exception in callback protocol.pipe_data_received()")
	pipeConnectionLost = guard.Harmless("PipeConnectionLost",
		"Exception in callback protocol.pipe_connection_lost()")
	processExited = guard.Harmless("ProcessExited",
		"Exception in callback protocol.process_exited()")
)

// tells reports whether the protocol's callbacks may be called: after
// ConnectionMade, and if the start was not abandoned.
func (c *Child) tells() bool { return c.done == nil && c.proto != nil }

func (c *Child) connectionMade() (err error) {
	defer c.guard.LeaveWith(c.guard.Enter(guard.ConnectionMade), &err)
	c.proto.ConnectionMade(c)
	return nil
}

func (c *Child) pipeDataReceived(fd int, data []byte) {
	defer c.guard.Leave(c.guard.Enter(pipeDataReceived))
	c.proto.PipeDataReceived(fd, data)
}

func (c *Child) pipeConnectionLost(fd int, err error) {
	defer c.guard.Leave(c.guard.Enter(pipeConnectionLost))
	c.proto.PipeConnectionLost(fd, err)
}

func (c *Child) processExited() {
	defer c.guard.Leave(c.guard.Enter(processExited))
	c.proto.ProcessExited()
}
