package sys

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// TestSeenIsWhatWasLookedAt compares with a table of all blocks.
func TestSeenIsWhatWasLookedAt(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var s seen
		var model [2][400]time.Duration // when, plus one; 0 is never
		for now := time.Duration(0); now < seenFor; now += time.Millisecond {
			file := random.IntN(2)
			id := proactor.FileID{Device: 1, Inode: uint64(file) + 1}
			offset := random.Int64N(300 * readAround)
			n := 1 + random.IntN(99*readAround)
			first, last := offset/readAround, (offset+int64(n)-1)/readAround
			want := true
			for i := first; i <= last; i++ {
				want = want && model[file][i] > 0
			}
			if got := s.has(id, offset, n, now); got != want {
				t.Fatalf("%d bytes from %d: %v, want %v", n, offset, got, want)
			}
			if random.IntN(2) == 0 {
				s.add(id, offset, n, now)
				for i := first; i <= last; i++ {
					model[file][i] = now + 1
				}
			}
		}
	}
}

func TestSeenIsForgotten(t *testing.T) {
	var s seen
	id := proactor.FileID{Device: 1, Inode: 2}
	s.add(id, 0, windowSize+1, time.Second)
	s.add(id, readAround, 1, time.Second+seenFor-1) // does not make the first look younger
	for _, c := range []struct {
		offset int64
		n      int
		after  time.Duration
		want   bool
	}{
		{0, windowSize + 1, seenFor - 1, true},
		{windowSize + readAround - 1, 1, 0, true},
		{windowSize, readAround + 1, 0, false},
		{0, 1, seenFor, false},
		{readAround, 1, seenFor, false},
	} {
		if got := s.has(id, c.offset, c.n, time.Second+c.after); got != c.want {
			t.Errorf("%d bytes from %d after %v: %v", c.n, c.offset, c.after, got)
		}
	}
	s.add(id, 0, 1, time.Second+seenFor)
	if !s.has(id, 0, 1, time.Second+seenFor) || s.has(id, readAround, 1, time.Second+seenFor) {
		t.Error("a new look does not begin anew")
	}
}

func TestSeenIsBounded(t *testing.T) {
	var s seen
	for i := range uint64(3 * seenMax) {
		s.add(proactor.FileID{Device: 1, Inode: i}, 0, 1, 0)
		if len(s.windows) > seenMax {
			t.Fatalf("%d windows", len(s.windows))
		}
	}
}

func TestAnUnknownFileIsNotRemembered(t *testing.T) {
	var s seen
	s.add(proactor.FileID{}, 0, 1, 0)
	if s.has(proactor.FileID{}, 0, 1, 0) {
		t.Error("it is")
	}
}
