package sys

import "golang.org/x/sys/unix"

// The structures of system calls that an engine fills in, for a machine that is not Linux.

// EpollEvent is struct epoll_event.
type EpollEvent = unix.EpollEvent

// Msghdr is struct msghdr.
type Msghdr = unix.Msghdr

// Iovec is struct iovec.
type Iovec = unix.Iovec
