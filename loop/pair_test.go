package loop_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// pair connects two recorders by TCP: a server's and a client's. The connection
// is aborted at the end.
func pair(t *testing.T, l *loop.Loop) (server, client *transporttest.Recorder) {
	t.Helper()
	server, client = transporttest.NewRecorder(t), transporttest.NewRecorder(t)
	connectTCP(t, l, server, client)
	abortAtEnd(t, l, server, client)
	return server, client
}

// abortAtEnd ends connections that the test left open.
func abortAtEnd(t *testing.T, l *loop.Loop, rs ...*transporttest.Recorder) {
	t.Cleanup(func() {
		for _, r := range rs {
			looptest.Do(l, func() {
				if r.Transport() != nil {
					r.Transport().Abort()
				}
			})
		}
		for _, r := range rs {
			waitLost(t, l, r)
		}
	})
}

// waitLost waits until r's transport is gone, if it ever had one.
func waitLost(t *testing.T, l *loop.Loop, r *transporttest.Recorder) {
	t.Helper()
	looptest.WaitFor(t, l, "ConnectionLost", func() bool {
		return r.Transport() == nil || r.Transport().Protocol() == nil
	})
}
