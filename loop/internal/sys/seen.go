package sys

import (
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// seen remembers which parts of files were found in the page cache a moment ago, so
// that a file that many clients ask for is checked now and then and not each time. The
// zero value remembers nothing.
//
// Its answer is that of a check, except for what the kernel has evicted in the meantime,
// and the kernel evicts last what is in use. The answer of a check is a guess, too: in
// both cases the send waits for anything that has been evicted since.
type seen struct {
	windows map[window]sighting
}

// window is 64 blocks of a file.
type window struct {
	file  proactor.FileID
	index int64
}

// sighting records the blocks of a window that were seen. If part of a block was seen,
// the whole block counts, as it does for a check: see readAround.
type sighting struct {
	blocks uint64
	at     time.Duration // of the first of them
}

const (
	seenFor    = 100 * time.Millisecond
	seenMax    = 4096 // windows
	windowSize = 64 * readAround
)

// has reports whether all of n > 0 bytes from offset on were seen not long ago.
func (s *seen) has(id proactor.FileID, offset int64, n int, now time.Duration) bool {
	for end := offset + int64(n); offset < end; {
		index, blocks, next := inWindow(offset, end)
		w, ok := s.windows[window{id, index}]
		if !ok || now-w.at >= seenFor || w.blocks&blocks != blocks {
			return false
		}
		offset = next
	}
	return true
}

// add remembers n > 0 bytes of a known file from offset on.
func (s *seen) add(id proactor.FileID, offset int64, n int, now time.Duration) {
	if id == (proactor.FileID{}) {
		return
	}
	if s.windows == nil {
		s.windows = make(map[window]sighting)
	}
	for end := offset + int64(n); offset < end; {
		index, blocks, next := inWindow(offset, end)
		key := window{id, index}
		w, ok := s.windows[key]
		if !ok && len(s.windows) >= seenMax {
			clear(s.windows)
		}
		if !ok || now-w.at >= seenFor {
			w = sighting{at: now}
		}
		w.blocks |= blocks
		s.windows[key] = w
		offset = next
	}
}

// inWindow returns the window in which offset lies, the blocks from there to end that are
// in the same window, and where the next window begins, or end.
func inWindow(offset, end int64) (index int64, blocks uint64, next int64) {
	index = offset / windowSize
	next = min(end, (index+1)*windowSize)
	first := offset % windowSize / readAround
	last := (next - 1) % windowSize / readAround
	return index, ^uint64(0) << first & (^uint64(0) >> (63 - last)), next
}
