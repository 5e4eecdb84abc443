package protocol_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/sluice-net/sluice/protocol"
)

// filler is a BufferedProtocol with a buffer of size bytes.
type filler struct {
	protocol.Base
	size  int
	buf   []byte
	got   []byte
	hints []int
}

func (f *filler) GetBuffer(hint int) []byte {
	f.hints = append(f.hints, hint)
	f.buf = make([]byte, f.size)
	return f.buf
}

func (f *filler) BufferUpdated(n int) { f.got = append(f.got, f.buf[:n]...) }

// both has the callbacks of both kinds.
type both struct{ filler }

func (*both) DataReceived([]byte) {}

func TestS135_ATypeWithBothKindsOfCallbacksIsPlain(t *testing.T) {
	f, b := &filler{}, &both{}
	if got, ok := protocol.AsBuffered(protocol.Buffered(f)); !ok || got != f {
		t.Errorf("what Buffered wraps is %v, %v", got, ok)
	}
	if got, ok := protocol.AsBuffered(f); !ok || got != f {
		t.Errorf("a buffered protocol is %v, %v", got, ok)
	}
	if got, ok := protocol.AsBuffered(b); ok {
		t.Errorf("one that is both is taken for buffered: %v", got)
	}
	if got, ok := protocol.AsBuffered(protocol.Buffered(b)); !ok || got != b {
		t.Errorf("one that is both, wrapped, is %v, %v", got, ok)
	}
	if protocol.Buffered(nil) != nil {
		t.Error("Buffered(nil) is not nil")
	}
}

func TestS136_FeedOffersWhatIsLeftUntilNothingIs(t *testing.T) {
	f := &filler{size: 3}
	n, err := protocol.Feed(f, []byte("seventy"))
	if n != 7 || err != nil || string(f.got) != "seventy" {
		t.Errorf("Feed: %d, %v; %q", n, err, f.got)
	}
	if want := []int{7, 4, 1}; !slices.Equal(f.hints, want) {
		t.Errorf("hints %d, want %d", f.hints, want)
	}
}

func TestS127_FeedStopsAtAnEmptyBuffer(t *testing.T) {
	f := &filler{}
	if n, err := protocol.Feed(f, []byte("x")); n != 0 || !errors.Is(err, protocol.ErrEmptyBuffer) {
		t.Errorf("Feed: %d, %v", n, err)
	}
	defer func() {
		if r := recover(); r != protocol.ErrEmptyBuffer {
			t.Errorf("DataReceived panicked with %v", r)
		}
	}()
	protocol.Buffered(f).DataReceived([]byte("x"))
}
