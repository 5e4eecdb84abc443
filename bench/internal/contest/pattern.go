package contest

import (
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// Period is after how many bytes the pattern repeats. It is five blocks:
	// a block too few or too many, or two in the wrong order, show.
	Period = 5 * BlockSize

	// ChunkMax is the largest part of the pattern that Pattern returns.
	ChunkMax = 4 * BlockSize
)

// stream is the pattern, and its beginning once more so that a part that
// reaches over its end is one slice.
var stream = makeStream()

func makeStream() []byte {
	b := make([]byte, Period+ChunkMax)
	source := rand.NewChaCha8([32]byte{'s', 'l', 'u', 'i', 'c', 'e'})
	source.Read(b[:Period])
	copy(b[Period:], b[:ChunkMax])
	return b
}

// Pattern returns the n bytes, at most ChunkMax, that come at position pos of
// every stream in the benchmark, whoever sends it. The slice is shared: read
// only.
func Pattern(pos int64, n int) []byte {
	at := int(pos % Period)
	return stream[at : at+n : at+n]
}

// PatternInMemory returns a file in memory that holds the pattern from its
// beginning, as often as it takes for any FileMax bytes that begin within a
// period to be one piece. It is the caller's to close.
func PatternInMemory() (*os.File, error) {
	fd, err := unix.MemfdCreate("sluice-bench-pattern", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return filled(os.NewFile(uintptr(fd), "pattern"))
}

// PatternFile is PatternInMemory in the directory for temporary files, whatever
// file system that has: what a file server serves. It has no name any more.
func PatternFile() (*os.File, error) {
	f, err := os.CreateTemp("", "sluice-bench-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return filled(f)
}

func filled(f *os.File) (*os.File, error) {
	for pos := int64(0); pos < Period+FileMax; pos += BlockSize {
		if _, err := f.WriteAt(Pattern(pos, BlockSize), pos); err != nil {
			f.Close()
			return nil, err
		}
	}
	return f, nil
}
