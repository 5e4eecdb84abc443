package child

import (
	"runtime/debug"

	"github.com/sluice-net/sluice/protocol"
)

// User code is called only from this file, and a panic in it is reported. A panic
// ends the child only if it comes from ConnectionMade.

// tells reports whether the protocol's callbacks may be called: after
// ConnectionMade, and if the start was not abandoned.
func (c *Child) tells() bool { return c.done == nil && c.proto != nil }

// guard calls a callback; python is asyncio's name for it.
func (c *Child) guard(callback, python string, f func()) {
	leave := c.loop.Enter(callback, c.proto)
	defer func() {
		leave()
		c.caught(recover(), callback, "Exception in callback protocol."+python+"()")
	}()
	f()
}

// caught reports a recovered panic and returns it as an error, or nil if there was
// none.
func (c *Child) caught(r any, callback, message string) error {
	if r == nil {
		return nil
	}
	err := &protocol.PanicError{Callback: callback, Value: r, Stack: debug.Stack()}
	c.loop.Report(message, err, c, c.proto)
	return err
}

// connectionMade calls ConnectionMade. If it panics, the panic is the result of the
// start; the child is killed, and the protocol is told when it ends.
func (c *Child) connectionMade() {
	done := c.done
	c.done = nil // from now on the protocol is told
	leave := c.loop.Enter("ConnectionMade", c.proto)
	defer func() {
		leave()
		err := c.caught(recover(), "ConnectionMade",
			"Fatal error: protocol.connection_made() call failed.")
		if err == nil {
			c.done = done
			return
		}
		c.err = err
		done(nil, err)
		c.closeAll()
	}()
	c.proto.ConnectionMade(c)
}
