package looptest

import (
	"syscall"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// Reset breaks the TCP connection of t, a transport of l, a loop made by this package, as
// a dying peer does: what has not been sent is dropped, and the other end gets
// ECONNRESET. The protocol of t gets ConnectionLost(nil). It is for the loop's goroutine,
// and does nothing to a transport that is gone.
func Reset(l *loop.Loop, t transport.Transport) {
	sim := of(l).sim
	s, ok := transport.Socket(t)
	if !ok {
		return
	}
	// After an error there is an orderly end instead of a reset, which the test will
	// notice.
	_ = s.Control(func(fd uintptr) {
		if sim != nil {
			_ = sim.engine.SetOption(int(fd), proactor.LingerReset, 1)
			return
		}
		_ = syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER,
			&syscall.Linger{Onoff: 1})
	})
	t.Abort()
}
