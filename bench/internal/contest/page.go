package contest

import (
	"bytes"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// line keeps what is written to often on cache lines of its own.
type line [64]byte

// A Page is memory that a server process shares with the bench, which so learns
// what the server has done without making it work.
type Page struct {
	Conns      atomic.Int64 // connections accepted and not yet lost
	_          line
	Received   atomic.Int64 // bytes that came in a receive mode
	_          line
	Verify     atomic.Bool  // compare what comes in a receive mode with the pattern
	Mismatched atomic.Int64 // slices that differed from it
}

// pageSize is what is mapped for a Page.
const pageSize = 4096

// newPage returns a page and the file that another process maps it by. Both are
// the caller's: unmap and Close.
func newPage() (*Page, *os.File, error) {
	fd, err := unix.MemfdCreate("sluice-bench", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "page")
	if err := f.Truncate(pageSize); err != nil {
		f.Close()
		return nil, nil, err
	}
	page, err := mapPage(fd)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return page, f, nil
}

func mapPage(fd int) (*Page, error) {
	mem, err := unix.Mmap(fd, 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the shared page: %w", os.NewSyscallError("mmap", err))
	}
	return (*Page)(unsafe.Pointer(unsafe.SliceData(mem))), nil
}

// unmap gives the page's memory back. Nothing may use it afterwards.
func (p *Page) unmap() {
	unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(p)), pageSize))
}

// A Sink takes what a connection receives in a receive mode. It is for one
// connection and one goroutine.
type Sink struct {
	page *Page
	pos  int64
}

// NewSink returns a sink that counts into page.
func NewSink(page *Page) *Sink { return &Sink{page: page} }

// Take counts data and, while the page says so, compares it.
func (s *Sink) Take(data []byte) {
	if s.page.Verify.Load() {
		s.verify(data)
	}
	s.pos += int64(len(data))
	s.page.Received.Add(int64(len(data)))
}

func (s *Sink) verify(data []byte) {
	pos := s.pos
	for len(data) > 0 {
		n := min(len(data), ChunkMax)
		if !bytes.Equal(data[:n], Pattern(pos, n)) {
			s.page.Mismatched.Add(1)
		}
		data, pos = data[n:], pos+int64(n)
	}
}
