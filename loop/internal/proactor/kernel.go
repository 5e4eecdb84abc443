package proactor

import (
	"net/netip"
	"os"

	"github.com/sluice-net/sluice/transport"
)

// Kernel is the set of calls that the kernel answers at once, in six parts. Errors
// are *os.SyscallError.
type Kernel interface {
	Sockets
	Datagrams
	Files
	Rights
	Pipes
	Splices
}

// Sockets is what can be done with all sockets, and with anything else that has a
// descriptor.
type Sockets interface {
	// Socket creates a socket suitable for this engine.
	Socket(family Family, kind Kind) (fd int, err error)

	// Bind binds fd. A Path names a Unix socket.
	Bind(fd int, addr transport.Addr) error

	// Listen makes fd a listening socket.
	Listen(fd, backlog int) error

	// Adopt duplicates f's descriptor, makes the copy suitable for this engine and
	// closes f, even on error.
	Adopt(f *os.File) (fd int, err error)

	// Describe returns the family and kind of fd.
	Describe(fd int) (family Family, kind Kind, err error)

	// Pollable reports whether Poll can watch fd: the error is EPERM for a regular
	// file or a directory, EBADF if there is no such descriptor.
	Pollable(fd int) error

	// LocalAddr returns the address of fd, or the zero Addr if it has none.
	LocalAddr(fd int) (transport.Addr, error)

	// RemoteAddr returns the address of fd's peer.
	RemoteAddr(fd int) (transport.Addr, error)

	// PeerCred returns the credentials of the peer of a Unix stream socket.
	PeerCred(fd int) (transport.Credentials, error)

	// Cookie returns a number that no other open socket has: SO_COOKIE; for
	// anything that is not a socket, its inode.
	Cookie(fd int) (uint64, error)

	// SetOption sets a socket option.
	SetOption(fd int, option Option, value int) error

	// GetOption reads a socket option.
	GetOption(fd int, option Option) (int, error)

	// TrySend sends as much of bufs as the kernel accepts right now, possibly
	// nothing, in one call. It must not be called with a send in flight on fd.
	TrySend(fd int, bufs [][]byte) (n int, err error)

	// ShutdownWrite sends FIN once everything sent before is on its way.
	ShutdownWrite(fd int) error

	// StopListening makes a listener refuse connections at once, before its
	// operations have ended and it can be closed: it is shutdown(2) of both sides.
	StopListening(fd int) error

	// CloseFD closes fd without waiting for anything. No operation may be in flight on
	// it.
	CloseFD(fd int) error

	// Discard closes a descriptor on which there has never been an operation and
	// which may belong to a file of any kind: it is closed soon and on another
	// goroutine, because that may block.
	Discard(fd int)
}

// Datagrams is what only datagram sockets can do.
type Datagrams interface {
	// ConnectDatagram makes addr the peer of a datagram socket, which then receives
	// nothing from others.
	ConnectDatagram(fd int, addr transport.Addr) error

	// TrySendMany sends as many of the first datagrams of batch, in order, as the
	// kernel accepts right now, at most BatchMax, and returns how many those were.
	// err says why the next one was not sent; nil means that there is no room for
	// it, or that none is left. It must not be called with a send in flight on fd.
	// Packets with a Segment are sent whole or not at all, and need the option
	// Segmentation.
	TrySendMany(fd int, batch []Packet) (n int, err error)

	// TakeError takes the first message off the error queue of a datagram socket
	// with the option RecvErr or RecvErr6. It reports false if there is none.
	TakeError(fd int) (QueuedError, bool)

	// JoinGroup makes a datagram socket receive what is sent to a multicast group
	// on the interface with that index, or, if index is 0, on the one that routing
	// chooses.
	JoinGroup(fd int, group netip.Addr, index int) error

	// MulticastFrom makes a datagram socket send to groups from that interface.
	MulticastFrom(fd int, family Family, index int) error
}

// Files is what can be done with files that are sent.
type Files interface {
	// StatFile describes an open file. If the file was at least enough bytes long
	// when it was queried before, the answer may be the earlier one: an open file
	// does not become another one, and callers to whom the size matters do not pass
	// it as enough. Errors: os.ErrInvalid for nil, os.ErrClosed, and those of
	// fstat(2).
	StatFile(f *os.File, enough int64) (FileStat, error)

	// TrySendfile sends at most n > 0 bytes of a file, from offset on, as many as
	// the kernel accepts right now: 0 without an error if it has no room. The
	// file's own position does not move. io.EOF means that there is nothing at
	// offset, os.ErrClosed that the file was closed. It must not be called with a
	// send in flight on fd. If the bytes are not Cached it waits for the disk.
	TrySendfile(fd int, from File, offset int64, n int) (sent int, err error)

	// Cached guesses whether n > 0 bytes of a file, from offset on, can be read
	// without waiting for a disk or a network. It may remember for a moment what it
	// has found out about the file with that ID.
	Cached(from File, offset int64, n int) bool
}

// Rights is the passing of descriptors over Unix sockets.
type Rights interface {
	// Duplicate returns another descriptor of the open file f, close-on-exec, and
	// leaves f unchanged.
	Duplicate(f *os.File) (fd int, err error)

	// TrySendFDs sends as much of data, which is not empty, as the kernel accepts
	// right now, and with its first byte the descriptors fds, at most FDsMax, which
	// remain the caller's. n = 0 without an error means that there is no room and
	// that nothing was sent. It must not be called with a send in flight on fd,
	// which is a Unix stream socket.
	TrySendFDs(fd int, data []byte, fds []int) (n int, err error)

	// TryRecvFDs receives available data into buf, and the descriptors that came
	// with it, close-on-exec, as files. EAGAIN means that there is nothing, n = 0
	// without an error that the peer is done. lost means that more were sent than
	// this process could accept. It must not be called with a receive in flight.
	TryRecvFDs(fd int, buf []byte) (n int, files []*os.File, lost bool, err error)

	// DiscardFile closes a file returned by TryRecvFDs, as Discard closes a
	// descriptor.
	DiscardFile(f *os.File)
}

// Pipes is what can be done with pipes, FIFOs and character devices.
type Pipes interface {
	// AdoptPipe duplicates f's descriptor for reading or for writing, makes the
	// copy suitable for this engine and closes f, even on error, unless it is a
	// standard stream. Errors: ErrNotPipe; EBADF if f is not open in that
	// direction.
	AdoptPipe(f *os.File, write bool) (Pipe, error)

	// SetBlocking undoes what AdoptPipe did to a Pipe whose Restore is set.
	SetBlocking(fd int) error

	// SameFile reports whether two descriptors refer to one open file, and so share
	// one mode.
	SameFile(a, b int) bool
}

// Splices is what moves bytes from one stream socket to another without the program.
type Splices interface {
	// OpenSplicePipe makes a pipe that holds about size bytes, for TrySpliceIn and
	// TrySpliceOut alone. CloseFD closes its ends, with what is in it.
	OpenSplicePipe(size int) (SplicePipe, error)

	// TrySpliceIn moves what fd has received into the pipe p, which is empty: at most
	// n > 0 bytes, and what it has room for. 0 means the end of the stream, EAGAIN
	// that nothing has been received. It must not be called with a receive in flight
	// on fd.
	TrySpliceIn(fd int, p SplicePipe, n int) (moved int, err error)

	// TrySpliceOut sends the first n > 0 bytes in p over fd, or as many as the kernel
	// accepts right now: 0 without an error if it has no room. p has n bytes. It must
	// not be called with a send in flight on fd.
	TrySpliceOut(p SplicePipe, fd, n int) (moved int, err error)
}
