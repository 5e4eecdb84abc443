//go:build linux

package uring

import "syscall"

// CQE is a completion. It lies in memory that the kernel fills: a *CQE from
// Ring.Peek or Ring.PeekAt is valid until Ring.Advance has passed it.
type CQE struct {
	UserData uint64 // what SQE.SetUserData set
	Res      int32  // what the system call would have returned, or -errno
	Flags    uint32 // read them through the methods
}

// The bits of CQE.Flags.
const (
	cqeBuffer       uint32 = 1 << 0 // 5.7
	cqeMore         uint32 = 1 << 1 // 5.13
	cqeSockNonEmpty uint32 = 1 << 2 // 5.19
	cqeNotif        uint32 = 1 << 3 // 6.0
	cqeBufMore      uint32 = 1 << 4 // 6.12

	cqeBufferShift = 16
)

// notifCopied is IORING_NOTIF_USAGE_ZC_COPIED, the sign bit of a notification.
const notifCopied uint32 = 1 << 31

// Errno returns the operation's error, or 0 if it succeeded.
func (c *CQE) Errno() syscall.Errno {
	if c.Res >= 0 {
		return 0
	}
	return syscall.Errno(-c.Res)
}

// More reports whether the same SQE will complete again: a multishot operation is
// still armed, or a zero-copy send's notification is still to come. If More is
// false, a multishot operation has ended and must be armed again.
func (c *CQE) More() bool { return c.Flags&cqeMore != 0 }

// HasBuffer reports whether the kernel took a provided buffer, BufID, which belongs
// to the caller until BufRing.Add. It can be true for a completion without data.
func (c *CQE) HasBuffer() bool { return c.Flags&cqeBuffer != 0 }

// BufID returns the number of the provided buffer; it is valid only if HasBuffer.
func (c *CQE) BufID() uint16 { return uint16(c.Flags >> cqeBufferShift) }

// BufMore reports whether the kernel will continue to fill the same buffer after
// these bytes, so that it must not be given back yet. Only with
// BufRingOptions.Incremental. Since Linux 6.12.
func (c *CQE) BufMore() bool { return c.Flags&cqeBufMore != 0 }

// SockNonEmpty reports whether the socket held more data than this receive took.
// Since Linux 5.19; for AF_UNIX sockets not on 6.1, but on 6.18.
func (c *CQE) SockNonEmpty() bool { return c.Flags&cqeSockNonEmpty != 0 }

// Notif reports whether this is a zero-copy send's second completion: the kernel no
// longer uses the buffer. Res is then not a byte count. Since Linux 6.0.
func (c *CQE) Notif() bool { return c.Flags&cqeNotif != 0 }

// Copied reports whether a notification requested with SendZCReportUsage says that
// the kernel copied the bytes after all. Since Linux 6.2.
func (c *CQE) Copied() bool { return c.Notif() && uint32(c.Res)&notifCopied != 0 }
