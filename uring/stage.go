//go:build linux

package uring

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stage is memory owned by a ring for what SQEs point to until the kernel has taken
// them: message headers, vectors, addresses, times. It lies outside of Go's heap,
// so that none of it can be freed or moved while an SQE, which holds addresses as
// numbers, points to it. Its size limits what one submission can point to.
//
//	free --Stage*--> staged --Submit takes all SQEs--> free
//	                 staged --Stage*: no room--> nil: submit first
//
// It is handed out from the front, and taken back as a whole when nothing is
// Pending any more. The kernel has copied it by then (IORING_FEAT_SUBMIT_STABLE,
// Linux 5.5).
type stage struct {
	memory []byte
	used   int
}

// VectorsMax is the maximum number of slices in one message (UIO_MAXIOV).
const VectorsMax = 1024

const (
	stagedVectors = 4 * VectorsMax // of all messages together
	stagedAddress = 128            // sockaddr_storage
	vectorSize    = int(unsafe.Sizeof(vector{}))
	headerSize    = int(unsafe.Sizeof(header{}))
	stageAlign    = 16
)

// vector is unix.Iovec, and header is unix.Msghdr, with numbers for pointers.
// Staged memory is written only through them: storing a pointer would make the
// collector look at the pointer that was there before, whose memory may have been
// freed since.
type vector struct{ base, len uintptr }

type header struct {
	name       uintptr
	nameLen    uint32
	vectors    uintptr
	count      uintptr
	control    uintptr
	controlLen uintptr
	flags      int32
}

// A layout that differs does not compile.
var (
	_ [unsafe.Sizeof(unix.Iovec{})]struct{}          = [vectorSize]struct{}{}
	_ [unsafe.Sizeof(unix.Msghdr{})]struct{}         = [headerSize]struct{}{}
	_ [unsafe.Offsetof(unix.Msghdr{}.Iov)]struct{}   = [unsafe.Offsetof(header{}.vectors)]struct{}{}
	_ [unsafe.Offsetof(unix.Msghdr{}.Flags)]struct{} = [unsafe.Offsetof(header{}.flags)]struct{}{}
)

// stageSize has room for a header and an address for each SQE of a full queue, and
// always for one message of any size.
func stageSize(entries int) int {
	return stagedVectors*vectorSize + entries*(headerSize+stageAlign+stagedAddress)
}

func (r *Ring) openStage() error {
	memory, errno := r.system.Map(-1, 0, stageSize(int(r.sqEntries)))
	r.stage.memory = memory
	return callError("mmap", errno)
}

// take returns n bytes, or nil if there is no room for them.
func (s *stage) take(n int) unsafe.Pointer {
	n = (n + stageAlign - 1) &^ (stageAlign - 1)
	if n > len(s.memory)-s.used {
		return nil
	}
	p := unsafe.Pointer(&s.memory[s.used])
	s.used += n
	return p
}

// taken frees all of the stage if the kernel has taken every SQE.
func (r *Ring) taken() {
	if r.stage.used > 0 && r.Pending() == 0 {
		r.stage.used = 0
	}
}

// CanStage reports whether a message of that many slices, or anything else that a
// Stage method takes (an address, a time), can be staged now. If not, it can be
// after a Submit that took every SQE. More than VectorsMax slices can never be
// staged.
func (r *Ring) CanStage(slices int) bool {
	if slices > VectorsMax {
		return false
	}
	need := slices*vectorSize + headerSize + stagedAddress + 3*stageAlign
	return need <= len(r.stage.memory)-r.stage.used
}

// StageVectors returns bufs without the first skip bytes in the form that PrepReadv
// and PrepWritev take, in memory owned by the ring. The bytes themselves stay where
// they are, and belong to the kernel until the completion: keep them reachable. The
// result is for one SQE, which must be prepared before the next Submit. It is nil
// if there is no room: see CanStage.
func (r *Ring) StageVectors(bufs [][]byte, skip int) []unix.Iovec {
	if len(bufs) > VectorsMax {
		return nil
	}
	p := r.stage.take(max(len(bufs), 1) * vectorSize)
	if p == nil {
		return nil
	}
	all := unsafe.Slice((*vector)(p), max(len(bufs), 1))
	all[0] = vector{}
	n := 0
	for _, b := range bufs {
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		all[n] = vector{uintptr(bytesAddr(b[skip:])), uintptr(len(b) - skip)}
		n++
		skip = 0
	}
	return unsafe.Slice((*unix.Iovec)(p), n)
}

// StageMsg returns the header of a message that consists of bufs without the first
// skip bytes, for the socket address name, which may be empty and has at most 128
// bytes. The rules of StageVectors apply to it.
func (r *Ring) StageMsg(bufs [][]byte, skip int, name []byte) *unix.Msghdr {
	if !r.CanStage(len(bufs)) || len(name) > stagedAddress {
		return nil
	}
	vectors := r.StageVectors(bufs, skip)
	msg := r.StageHeader(0, 0)
	h := (*header)(unsafe.Pointer(msg))
	h.vectors, h.count = uintptr(vecsAddr(vectors)), uintptr(len(vectors))
	if len(name) > 0 {
		h.name, h.nameLen = uintptr(r.StageAddr(name)), uint32(len(name))
	}
	return msg
}

// StageHeader returns a header without memory, for PrepRecvMsgMultishot: it says
// how much room to leave for a name and for control messages. It is nil if there is
// no room: see CanStage.
func (r *Ring) StageHeader(name, control int) *unix.Msghdr {
	h := (*header)(r.stage.take(headerSize))
	if h != nil {
		*h = header{nameLen: uint32(name), controlLen: uintptr(control)}
	}
	return (*unix.Msghdr)(unsafe.Pointer(h))
}

// StageAddr returns a copy of a socket address of 1 to 128 bytes, such as the Bytes
// of a Sockaddr, for PrepConnect and PrepSendTo. It is nil if there is no room: see CanStage.
func (r *Ring) StageAddr(name []byte) unsafe.Pointer {
	if len(name) > stagedAddress {
		return nil
	}
	p := r.stage.take(stagedAddress)
	if p != nil {
		copy(unsafe.Slice((*byte)(p), len(name)), name)
	}
	return p
}

// StageTimespec returns d, which must not be negative, for PrepTimeout and the
// like. It is nil if there is no room: see CanStage.
func (r *Ring) StageTimespec(d time.Duration) *Timespec {
	ts := (*Timespec)(r.stage.take(int(unsafe.Sizeof(Timespec{}))))
	if ts != nil {
		*ts = NewTimespec(d)
	}
	return ts
}

// closeStage unmaps the stage.
func (r *Ring) closeStage() syscall.Errno {
	if r.stage.memory == nil {
		return 0
	}
	errno := r.system.Unmap(r.stage.memory)
	r.stage = stage{}
	return errno
}
