package pressure

import (
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// linkCreate is the argument of bpf(BPF_LINK_CREATE) for an iterator.
type linkCreate struct {
	progFD     uint32
	targetFD   uint32
	attachType uint32
	flags      uint32
	info       unsafe.Pointer
	infoLen    uint32
	_          uint32
}

// iterInfo is bpf_iter_link_info.task: which tasks to visit.
type iterInfo struct {
	tid, pid, pidFD uint32
}

const (
	bpfLinkCreate = 28
	bpfTraceIter  = 28
)

// attachIterator returns an iterator that visits the descriptors of one process.
// The kernel has done the filtering since Linux 6.1 (bpf_iter_link_info.task); the
// system call is made here because package link cannot ask for that. The error is
// errNoFilter if the kernel does not know the filter.
func attachIterator(prog *ebpf.Program, pid int) (*link.Iter, error) {
	info := &iterInfo{pid: uint32(pid)}
	attr := &linkCreate{
		progFD: uint32(prog.FD()), attachType: bpfTraceIter,
		info: unsafe.Pointer(info), infoLen: uint32(unsafe.Sizeof(*info)),
	}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, bpfLinkCreate,
		uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr))
	switch errno {
	case 0:
	case unix.ESRCH:
		return nil, os.ErrProcessDone
	case unix.EINVAL, unix.E2BIG:
		return nil, errNoFilter
	default:
		return nil, fmt.Errorf("attach iterator: %w", errno)
	}
	made, err := link.NewFromFD(int(fd))
	if err != nil {
		return nil, fmt.Errorf("attach iterator: %w", err)
	}
	iterator, ok := made.(*link.Iter)
	if !ok {
		return nil, errors.Join(errors.New("attach iterator: not an iterator"), made.Close())
	}
	return iterator, nil
}

var errNoFilter = errors.New("the kernel does not filter iterators by process")

// readIterator runs the iterator once and appends its output to buf.
func readIterator(iterator *link.Iter, buf []byte) ([]byte, error) {
	run, err := iterator.Open()
	if err != nil {
		return buf, err
	}
	defer run.Close()
	for {
		if cap(buf)-len(buf) < 64<<10 {
			buf = append(make([]byte, 0, 2*cap(buf)+128<<10), buf...)
		}
		n, err := run.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, fmt.Errorf("read iterator: %w", err)
		}
	}
}
