package rig

import (
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// Pair connects two recorders by TCP: a server's and a client's. The connection
// is aborted at the end.
func Pair(t *testing.T, l *loop.Loop) (server, client *transporttest.Recorder) {
	t.Helper()
	server, client = transporttest.NewRecorder(t), transporttest.NewRecorder(t)
	ConnectTCP(t, l, server, client)
	AbortAtEnd(t, l, server, client)
	return server, client
}

// AbortAtEnd ends connections that the test left open.
func AbortAtEnd(t *testing.T, l *loop.Loop, rs ...*transporttest.Recorder) {
	t.Cleanup(func() {
		for _, r := range rs {
			looptest.Do(l, func() {
				if r.Transport() != nil {
					r.Transport().Abort()
				}
			})
		}
		for _, r := range rs {
			WaitLost(t, l, r)
		}
	})
}

// WaitLost waits until r's transport is gone, if it ever had one.
func WaitLost(t *testing.T, l *loop.Loop, r *transporttest.Recorder) {
	t.Helper()
	looptest.WaitFor(t, l, "ConnectionLost", func() bool {
		return r.Transport() == nil || r.Transport().Protocol() == nil
	})
}
