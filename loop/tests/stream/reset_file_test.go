package stream_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
)

// A reset in the middle of sendfile(2) is forgotten by the kernel where a part was sent:
// the call returns a count, and what follows finds an end or EPIPE.
func TestAResetWhileAFileIsSentIsReportedAsAReset(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	const size, times = 64 << 20, 150
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for i := range times {
			g := rig.OutsideConns(t, l, "tcp", 1)[0]
			looptest.Do(l, func() {
				g.On.EOF = func() bool { return true }
				l.SendfileFunc(t.Context(), g.Transport(), f, 0, -1, func(int64, error) {})
			})
			if err := rig.Discard(g.Peer, 1<<20+i*4096); err != nil {
				t.Error(err)
			}
			breaks["SO_LINGER 0"](t, g)
			rig.WaitLost(t, l, g.Recorder)
			if _, err := g.Lost(); g.GotEOF() || !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("EOFReceived %v, then ConnectionLost(%v)", g.GotEOF(), err)
			}
		}
	})
}
