package sys

import (
	"os"
	"syscall"
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"golang.org/x/sys/unix"
)

// rights is the memory of the messages that carry descriptors (unix(7)).
type rights struct {
	control [controlSize]byte
	iov     unix.Iovec
	msg     unix.Msghdr
}

// fdSize is the size of a descriptor in SCM_RIGHTS: a C int.
const fdSize = 4

// controlSize has room for as many descriptors as the kernel puts into one message, and
// before them for what a user may have asked for with an option of the socket:
// SCM_CREDENTIALS and SCM_SECURITY.
const controlSize = unix.SizeofCmsghdr + proactor.FDsMax*fdSize + 4 + 1024

// TrySendFDs sends data with descriptors.
func (k *Kernel) TrySendFDs(fd int, data []byte, fds []int) (int, error) {
	r := k.message(data)
	size := len(fds) * fdSize
	h := (*unix.Cmsghdr)(unsafe.Pointer(&r.control))
	h.Level, h.Type = unix.SOL_SOCKET, unix.SCM_RIGHTS
	h.SetLen(unix.CmsgLen(size))
	for i, n := range fds {
		*(*int32)(unsafe.Pointer(&r.control[unix.CmsgLen(i*fdSize)])) = int32(n)
	}
	r.msg.SetControllen(unix.CmsgSpace(size))
	defer r.forget()
	for {
		k.Calls++
		n, _, e := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd),
			uintptr(unsafe.Pointer(&r.msg)), sendFlags)
		switch e {
		case 0:
			return int(n), nil
		case syscall.EAGAIN:
			return 0, nil
		case syscall.EINTR:
		default:
			return 0, os.NewSyscallError("sendmsg", e)
		}
	}
}

// TryRecvFDs receives data and descriptors.
func (k *Kernel) TryRecvFDs(fd int, buf []byte) (int, []*os.File, bool, error) {
	r := k.message(buf)
	r.msg.SetControllen(controlSize)
	defer r.forget()
	for {
		k.Calls++
		n, _, e := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd),
			uintptr(unsafe.Pointer(&r.msg)), unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		switch e {
		case 0:
			files := r.files()
			return int(n), files, r.msg.Flags&unix.MSG_CTRUNC != 0, nil
		case syscall.EINTR:
		default:
			return 0, nil, false, os.NewSyscallError("recvmsg", e)
		}
	}
}

// message points the header at buf and at the room for control messages.
func (k *Kernel) message(buf []byte) *rights {
	if k.rights == nil {
		k.rights = new(rights)
	}
	r := k.rights
	r.iov = unix.Iovec{Base: unsafe.SliceData(buf)}
	r.iov.SetLen(len(buf))
	r.msg = unix.Msghdr{Iov: &r.iov, Control: &r.control[0]}
	r.msg.SetIovlen(1)
	return r
}

func (r *rights) forget() { r.iov, r.msg = unix.Iovec{}, unix.Msghdr{} }

// files takes the descriptors out of the control messages of a receive. Of the other
// types, only SCM_PIDFD carries a descriptor.
func (r *rights) files() []*os.File {
	messages, err := unix.ParseSocketControlMessage(r.control[:r.msg.Controllen])
	if err != nil {
		return nil
	}
	var files []*os.File
	for _, m := range messages {
		if m.Header.Level != unix.SOL_SOCKET {
			continue
		}
		if m.Header.Type == unix.SCM_PIDFD && len(m.Data) >= fdSize {
			// The user asked for it with SO_PASSPIDFD, but no protocol receives it.
			unix.Close(int(*(*int32)(unsafe.Pointer(&m.Data[0]))))
		}
		if m.Header.Type != unix.SCM_RIGHTS {
			continue
		}
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), ""))
		}
	}
	return files
}
