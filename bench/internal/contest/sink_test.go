package contest_test

import (
	"net"
	"slices"
	"testing"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// pieces has a sink take a stream, a piece at a time.
func pieces(s *contest.Sink, stream []byte, size int) {
	for piece := range slices.Chunk(stream, size) {
		s.Take(piece)
	}
}

// stream returns the first n bytes that are due.
func stream(n int) (out []byte) {
	for pos := 0; pos < n; pos += contest.BlockSize {
		out = append(out, contest.Pattern(int64(pos), min(n-pos, contest.BlockSize))...)
	}
	return out
}

func TestASinkTakesTheRightStream(t *testing.T) {
	for _, verify := range []bool{true, false} {
		for _, size := range []int{1, 1000, 64 << 10, 1_000_000} {
			page := new(contest.Page)
			page.Verify.Store(verify)
			pieces(contest.NewSink(page), stream(3*contest.Period), size)
			if n := page.Mismatched.Load(); n != 0 {
				t.Errorf("verify %v, pieces of %d: %d mismatches", verify, size, n)
			}
			if n := page.Received.Load(); n != 3*contest.Period {
				t.Errorf("%d bytes counted", n)
			}
			if _, _, ok := page.Mismatch(); ok {
				t.Error("there is a place of a mismatch")
			}
		}
	}
}

func TestASinkFindsWhatIsWrong(t *testing.T) {
	const n, at = 10 * contest.BlockSize, 2*contest.BlockSize + 12345
	right := stream(n)
	for _, c := range []struct {
		name    string
		spoil   func(s []byte) []byte
		windows bool // found without Verify as well
	}{
		{"a byte was changed", func(s []byte) []byte { s[at] ^= 1; return s }, false},
		{"a byte was lost", func(s []byte) []byte { return slices.Delete(s, at, at+1) }, true},
		{"a byte came twice", func(s []byte) []byte { return slices.Insert(s, at, s[at]) }, true},
		{"blocks changed places", func(s []byte) []byte {
			first := slices.Clone(s[at : at+contest.BlockSize])
			copy(s[at:], s[at+contest.BlockSize:at+2*contest.BlockSize])
			copy(s[at+contest.BlockSize:], first)
			return s
		}, true},
		{"a block of another stream", func(s []byte) []byte {
			copy(s[at:at+contest.BlockSize], contest.Pattern(at+4096, contest.BlockSize))
			return s
		}, true},
	} {
		for _, verify := range []bool{true, false} {
			if !verify && !c.windows {
				continue
			}
			page := new(contest.Page)
			page.Verify.Store(verify)
			s := contest.NewSink(page)
			s.From(&net.TCPAddr{Port: 45678})
			pieces(s, c.spoil(slices.Clone(right)), contest.BlockSize)
			port, offset, ok := page.Mismatch()
			if !ok || port != 45678 || offset < at || verify && offset > at+3 {
				t.Errorf("%s, verify %v: at byte %d from port %d, %v; want byte %d",
					c.name, verify, offset, port, ok, at)
			}
		}
	}
}

// A byte that is changed in each block is found after some blocks by windows, too:
// they do not always look at the same part.
func TestWindowsComeToLieAnywhere(t *testing.T) {
	for _, at := range []int{0, 1, 30_000, contest.BlockSize - 1} {
		page := new(contest.Page)
		s := contest.NewSink(page)
		for pos := int64(0); page.Mismatched.Load() == 0; pos += contest.BlockSize {
			block := slices.Clone(contest.Pattern(pos, contest.BlockSize))
			block[at] ^= 1
			if s.Take(block); pos > 1000*contest.BlockSize {
				t.Fatalf("byte %d of each block is never looked at", at)
			}
		}
	}
}

func TestASinkDoesNotAllocate(t *testing.T) {
	s := contest.NewSink(new(contest.Page))
	if n := testing.AllocsPerRun(100, func() { s.Take(make([]byte, 10)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
