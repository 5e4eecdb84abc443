package rig

import (
	"bytes"
	"errors"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// WaitTrace waits until r has recorded exactly want.
func WaitTrace(t *testing.T, l *loop.Loop, r *transporttest.Recorder, want string) {
	t.Helper()
	looptest.WaitFor(t, l, want, func() bool { return r.Trace() == want })
}

// WaitLostWith waits for ConnectionLost, which must pass an error that is want.
func WaitLostWith(t *testing.T, l *loop.Loop, r *transporttest.Recorder, want error) {
	t.Helper()
	WaitLost(t, l, r)
	if _, err := r.Lost(); !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Errorf("ConnectionLost(%v), want %v", err, want)
	}
}

// WaitData waits for as many bytes as want has and compares them.
func WaitData(t *testing.T, l *loop.Loop, r *transporttest.Recorder, want []byte) {
	t.Helper()
	looptest.WaitFor(t, l, "the bytes", func() bool { return r.Received() >= len(want) })
	if got := r.Data(); !bytes.Equal(got, want) {
		t.Errorf("%d bytes arrived, %d were sent, or they differ", len(got), len(want))
	}
}
