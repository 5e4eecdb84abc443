package flowpage_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport/flowpage"
)

// The bytes that a relay splices count for both transports, and one whose bytes wait in a
// pipe for the other does not read.
func TestThePageShowsWhatARelaySplices(t *testing.T) {
	onPages(t, loop.Options{}, func(t *testing.T, l *loop.Loop, page *flowpage.Reader) {
		a, left := rig.Pair(t, l)
		b, right := rig.Pair(t, l)
		var counts loop.RelayCounts
		block := make([]byte, 64<<10)
		more := func() {
			for !left.Transport().WritePaused() {
				left.Transport().Write(block)
			}
		}
		left.On.Resume = more
		looptest.Do(l, func() {
			l.RelayFunc(t.Context(), a.Transport(), b.Transport(),
				&loop.RelayOptions{Counts: &counts}, func(loop.Relayed, error) {})
			more()
		})
		looptest.WaitFor(t, l, "bytes", func() bool { return right.Received() > 4<<20 })
		looptest.Do(l, func() { right.Transport().PauseReading() })
		looptest.WaitFor(t, l, "a pause", func() bool {
			return shown(t, page, a.Transport()).ReadPaused.Running
		})
		looptest.Do(l, func() {
			n := uint64(counts.Now().AToB)
			from, to := shown(t, page, a.Transport()), shown(t, page, b.Transport())
			if from.BytesRead < n || to.BytesWritten != n {
				t.Errorf("%d bytes were read and %d written, of %d", from.BytesRead,
					to.BytesWritten, n)
			}
		})
	})
}
