//go:build linux

package uring

import (
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// PrepNop does nothing and completes with 0. Since Linux 5.1.
func (s *SQE) PrepNop() { s.prep(iosys.IORING_OP_NOP, -1, 0, 0, 0) }

// PrepRecv is recv(2) into buf, which belongs to the kernel until the completion.
// Res is 0 at the end of the stream. A socket without data is polled, whether it is
// non-blocking or not. flags is MSG_*; with MSG_WAITALL the kernel continues until
// buf is full. Since Linux 5.6.
func (s *SQE) PrepRecv(fd int, buf []byte, flags int) {
	s.prep(iosys.IORING_OP_RECV, fd, bytesAddr(buf), bytesLen(buf), 0)
	s.opFlags = uint32(flags)
}

// PrepRecvSelect is recv(2) into a provided buffer of group, of at most size bytes;
// 0 means as much as fits. If no buffer is free it completes with ENOBUFS. Since
// Linux 5.7; with buffer rings since 5.19.
func (s *SQE) PrepRecvSelect(fd int, group uint16, size uint32, flags int) {
	s.prep(iosys.IORING_OP_RECV, fd, 0, size, 0)
	s.opFlags = uint32(flags)
	s.flags = BufferSelect
	s.bufIndex = group
}

// PrepRecvMultishot receives repeatedly, each time into another provided buffer of
// group, with one completion for each, until one has no CQE.More: at the end of the
// stream (Res 0), on an error, on a cancel, or with ENOBUFS when no buffer is free,
// on old kernels even before there is data (seen on 6.1). It must then be armed
// again. MSG_WAITALL is refused with EINVAL. Since Linux 6.0.
func (s *SQE) PrepRecvMultishot(fd int, group uint16, flags int) {
	s.prep(iosys.IORING_OP_RECV, fd, 0, 0, 0)
	s.opFlags = uint32(flags)
	s.ioprio = recvMultishot
	s.flags = BufferSelect
	s.bufIndex = group
}

// PrepSend is send(2) of buf, which belongs to the kernel until the completion.
// flags is MSG_*. With MSG_WAITALL the kernel itself sends the rest after a short
// send (Linux 5.19); with MSG_DONTWAIT it never waits, and completes short or with
// EAGAIN; with MSG_NOSIGNAL it raises no SIGPIPE. Since Linux 5.6.
func (s *SQE) PrepSend(fd int, buf []byte, flags int) {
	s.prep(iosys.IORING_OP_SEND, fd, bytesAddr(buf), bytesLen(buf), 0)
	s.opFlags = uint32(flags)
}

// PrepSendTo is sendto(2): PrepSend to the socket address of addrLen bytes at addr,
// which must stay in place until the submission: see Sockaddr. Since Linux 6.0 for
// PrepSendZC, 6.1 for PrepSend's operation.
func (s *SQE) PrepSendTo(fd int, buf []byte, flags int, addr unsafe.Pointer, addrLen uint16) {
	s.prep(iosys.IORING_OP_SEND, fd, bytesAddr(buf), bytesLen(buf), 0)
	s.opFlags = uint32(flags)
	s.SetSendAddr(addr, addrLen)
}

// SetSendAddr sets the destination of PrepSend or PrepSendZC.
func (s *SQE) SetSendAddr(addr unsafe.Pointer, addrLen uint16) {
	s.off = address(addr)
	s.setAddrLen(addrLen)
}

// setAddrLen stores n in the first half of the word that fileIndex occupies.
func (s *SQE) setAddrLen(n uint16) {
	s.fileIndex = uint32(n)
	if bigEndian {
		s.fileIndex <<= 16
	}
}

// PrepSendZC is PrepSend without copying: the network card reads buf itself.
//
// It completes twice. The first completion has the result, and CQE.More if a second
// one will follow, which may be so even after an error. The second has CQE.Notif,
// and only then does buf belong to the caller again: with TCP, when the peer has
// acknowledged the bytes. zcFlags is 0 or SendZCReportUsage. Small sends are slower
// this way, and on loopback the kernel copies. An AF_UNIX socket refuses it with
// EOPNOTSUPP. Since Linux 6.0.
func (s *SQE) PrepSendZC(fd int, buf []byte, flags int, zcFlags uint16) {
	s.prep(iosys.IORING_OP_SEND_ZC, fd, bytesAddr(buf), bytesLen(buf), 0)
	s.opFlags = uint32(flags)
	s.ioprio = zcFlags
}

// PrepSendZCFixed is PrepSendZC from the registered buffer index, of which buf must
// be a part, so that its pages need not be pinned each time. Since Linux 6.0.
func (s *SQE) PrepSendZCFixed(fd int, buf []byte, flags int, zcFlags uint16, index int) {
	s.PrepSendZC(fd, buf, flags, zcFlags)
	s.ioprio |= recvSendFixed
	s.bufIndex = uint16(index)
}

// PrepAccept is accept4(2); Res is the new descriptor. addr and addrLen receive the
// peer's address, as in a Sockaddr after Reset, and may both be nil; the kernel writes
// there until the completion.
// flags may contain SOCK_CLOEXEC and SOCK_NONBLOCK. Since Linux 5.5.
func (s *SQE) PrepAccept(fd int, addr unsafe.Pointer, addrLen *uint32, flags int) {
	s.prep(iosys.IORING_OP_ACCEPT, fd, address(addr), 0, address(unsafe.Pointer(addrLen)))
	s.opFlags = uint32(flags)
}

// PrepAcceptMultishot accepts repeatedly, with one completion for each connection,
// until one has no CQE.More: an error such as EMFILE, or a cancel. It must then be
// armed again. The descriptor limit is the one in force when it was armed. An older
// kernel answers EINVAL (seen on Debian's 5.10.0-46). Since Linux 5.19.
func (s *SQE) PrepAcceptMultishot(fd int, flags int) {
	s.PrepAccept(fd, nil, nil, flags)
	s.ioprio = acceptMultishot
}

// PrepAcceptDirect is PrepAccept into slot index of RegisterFiles instead of a
// descriptor; Res is 0. SOCK_CLOEXEC is refused with EINVAL. Since Linux 5.15.
func (s *SQE) PrepAcceptDirect(
	fd int, addr unsafe.Pointer, addrLen *uint32, flags int, index uint32,
) {
	s.PrepAccept(fd, addr, addrLen, flags)
	s.setTargetSlot(index)
}

// PrepAcceptMultishotDirect is PrepAcceptMultishot into free slots of
// RegisterFiles: Res is the slot, or ENFILE if none is free. SOCK_CLOEXEC is
// refused with EINVAL. Since Linux 5.19.
func (s *SQE) PrepAcceptMultishotDirect(fd int, flags int) {
	s.PrepAcceptMultishot(fd, flags)
	s.fileIndex = fileIndexAlloc
}

// PrepConnect is connect(2) to the socket address of addrLen bytes at addr,
// which must stay in place until the submission: see Sockaddr. Since Linux 5.5.
func (s *SQE) PrepConnect(fd int, addr unsafe.Pointer, addrLen uint32) {
	s.prep(iosys.IORING_OP_CONNECT, fd, address(addr), 0, uint64(addrLen))
}

// PrepShutdown is shutdown(2); how is SHUT_RD, SHUT_WR or SHUT_RDWR. Since Linux
// 5.11.
func (s *SQE) PrepShutdown(fd int, how int) {
	s.prep(iosys.IORING_OP_SHUTDOWN, fd, 0, uint32(how), 0)
}

// PrepClose is close(2). It neither completes nor cancels operations in flight on
// the descriptor: cancel them first. Since Linux 5.6.
func (s *SQE) PrepClose(fd int) { s.prep(iosys.IORING_OP_CLOSE, fd, 0, 0, 0) }

// PrepCloseDirect empties slot index of RegisterFiles. Since Linux 5.15.
func (s *SQE) PrepCloseDirect(index uint32) {
	s.PrepClose(0)
	s.setTargetSlot(index)
}

// PrepSocket is socket(2); Res is the descriptor. typ may include SOCK_CLOEXEC and
// SOCK_NONBLOCK. flags is 0. Since Linux 5.19.
func (s *SQE) PrepSocket(domain, typ, protocol int, flags uint32) {
	s.prep(iosys.IORING_OP_SOCKET, domain, 0, uint32(protocol), uint64(typ))
	s.opFlags = flags
}

// PrepSocketDirect is PrepSocket into slot index of RegisterFiles; Res is 0.
// SOCK_CLOEXEC is refused with EINVAL. Since Linux 5.19.
func (s *SQE) PrepSocketDirect(domain, typ, protocol int, index uint32, flags uint32) {
	s.PrepSocket(domain, typ, protocol, flags)
	s.setTargetSlot(index)
}

// PrepSocketDirectAlloc is PrepSocketDirect into a free slot: Res is the slot, or
// ENFILE if none is free. Since Linux 5.19.
func (s *SQE) PrepSocketDirectAlloc(domain, typ, protocol int, flags uint32) {
	s.PrepSocket(domain, typ, protocol, flags)
	s.fileIndex = fileIndexAlloc
}

// PrepSocketUnsent asks how many bytes in a TCP socket's send queue the peer has
// not acknowledged (SIOCOUTQ). Res is that number. Since Linux 6.5.
func (s *SQE) PrepSocketUnsent(fd int) {
	s.prep(iosys.IORING_OP_URING_CMD, fd, 0, 0, socketCommand(socketCmdSIOCOUTQ))
}

// PrepSocketUnread asks how many bytes a receive would find (SIOCINQ). Res is that
// number. Since Linux 6.5.
func (s *SQE) PrepSocketUnread(fd int) {
	s.prep(iosys.IORING_OP_URING_CMD, fd, 0, 0, socketCommand(socketCmdSIOCINQ))
}

// socketCommand returns cmd_op, the first half of the word that off occupies.
func socketCommand(op uint64) uint64 {
	if bigEndian {
		return op << 32
	}
	return op
}

// PrepSendMsg is sendmsg(2). The header, its vector and its address must stay in
// place until the submission, the bytes until the completion. Since Linux 5.3.
func (s *SQE) PrepSendMsg(fd int, msg *unix.Msghdr, flags int) {
	s.prep(iosys.IORING_OP_SENDMSG, fd, address(unsafe.Pointer(msg)), 1, 0)
	s.opFlags = uint32(flags)
}

// PrepSendMsgZC is PrepSendMsg without copying; it completes as PrepSendZC does.
// Since Linux 6.1.
func (s *SQE) PrepSendMsgZC(fd int, msg *unix.Msghdr, flags int) {
	s.prep(iosys.IORING_OP_SENDMSG_ZC, fd, address(unsafe.Pointer(msg)), 1, 0)
	s.opFlags = uint32(flags)
}

// PrepRecvMsg is recvmsg(2). The kernel writes to the header, and to what it
// points to, until the completion. Since Linux 5.3.
func (s *SQE) PrepRecvMsg(fd int, msg *unix.Msghdr, flags int) {
	s.prep(iosys.IORING_OP_RECVMSG, fd, address(unsafe.Pointer(msg)), 1, 0)
	s.opFlags = uint32(flags)
}

// PrepRecvMsgMultishot receives messages repeatedly, each into a provided buffer of
// group that RecvMsgOut parses; otherwise it is like PrepRecvMultishot. Only
// Namelen and Controllen of msg are read, at the submission: they say how much room
// to leave for the sender's address and for control messages. With MSG_TRUNC,
// RecvMsgOut.Len is a datagram's whole length. An empty datagram ends the
// operation, with a buffer and without CQE.More (seen on 6.18). Not for groups that
// are Incremental. Since Linux 6.0.
func (s *SQE) PrepRecvMsgMultishot(fd int, msg *unix.Msghdr, group uint16, flags int) {
	s.PrepRecvMsg(fd, msg, flags)
	s.ioprio = recvMultishot
	s.flags = BufferSelect
	s.bufIndex = group
}
