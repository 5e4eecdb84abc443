package pipe_test

import (
	"slices"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// readerShows and writerShows are the kit's statements that one end of a pipe can
// show. The others are of transports with both directions.
var (
	readerShows = []int{1, 3, 6, 7, 14, 20, 21, 23, 24, 25, 34, 38, 42, 43, 48, 49,
		50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 63, 64, 66, 67, 114, 118, 120, 124, 125, 126,
		127, 128, 130, 131, 132, 134, 135, 136, 137, 138, 139, 140, 449}
	writerShows = []int{1, 6, 7, 8, 9, 10, 11, 14, 15, 16, 17, 18, 20, 22, 23, 24, 25,
		42, 43, 50, 68, 69, 70, 72, 73, 74, 75, 76, 78, 79, 80, 81, 82, 83, 84, 86, 87, 88, 89,
		90, 91, 93, 95, 96, 97, 98, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 118, 120,
		445, 447}
)

// allBut excepts every statement that is not among those shown.
func allBut(shown []int, needs string) (except []transporttest.Except) {
	for n := range 453 {
		if !slices.Contains(shown, n) {
			except = append(except, transporttest.Except{Number: n, Why: needs})
		}
	}
	return except
}

// TestPipeOfAReader runs those cases of the conformance kit on reading ends that
// can be shown with one direction.
func TestPipeOfAReader(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		transporttest.TestTransport(t, func(t *testing.T,
			p, peer protocol.Protocol) *transporttest.Link {
			rig.ConnectPipe(t, l, p, peer)
			return rig.UnixLink(t, l, peer)
		}, allBut(readerShows, "a transport that writes")...)
	})
}

// TestPipeOfAWriter runs them on writing ends.
func TestPipeOfAWriter(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		transporttest.TestTransport(t, func(t *testing.T,
			p, peer protocol.Protocol) *transporttest.Link {
			rig.ConnectPipe(t, l, peer, p)
			return rig.UnixLink(t, l, peer)
		}, allBut(writerShows, "a transport that reads, or an answer")...)
	})
}
