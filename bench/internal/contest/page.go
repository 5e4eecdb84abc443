package contest

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// line keeps what is written to often on cache lines of its own.
type line [64]byte

// A Page is memory that a server process shares with the bench, which so learns
// what the server has done without making it work. Servers in C know its layout.
type Page struct {
	Conns      atomic.Int64 // connections accepted and not yet lost
	_          line
	Received   atomic.Int64 // bytes that came in a receive mode
	_          line
	Verify     atomic.Bool  // compare all that comes in a receive mode with the pattern
	Mismatched atomic.Int64 // slices that differed from it
	place      atomic.Int64 // where the first of them did
}

// portBits are those of a place that are the port of the client.
const portBits = 16

// Mismatch tells where the first byte differed from what was due: from which of the
// client's ports it came, and its offset in that connection's stream. ok is false
// where none did, or the server does not say.
func (p *Page) Mismatch() (port int, offset int64, ok bool) {
	place := p.place.Load()
	return int(place & (1<<portBits - 1)), place >> portBits, place != 0
}

// differs notes that a byte differed.
func (p *Page) differs(port uint16, offset int64) {
	p.place.CompareAndSwap(0, offset<<portBits|int64(port))
	p.Mismatched.Add(1)
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

// PageFile returns the file that the calling server process's page is mapped from, for
// a program that it starts. It is the caller's to close.
func PageFile() (*os.File, error) {
	fd, err := unix.FcntlInt(pageFD, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), "page"), nil
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
