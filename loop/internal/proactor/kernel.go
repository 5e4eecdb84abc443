package proactor

import (
	"net/netip"
	"os"

	"github.com/sluice-net/sluice/transport"
)

// Kernel is the calls that the kernel answers at once, in five parts. Errors are
// *os.SyscallError.
type Kernel interface {
	Sockets
	Datagrams
	Files
	Rights
	Pipes
}

// Sockets is what is done with all sockets, and with whatever else has a descriptor.
type Sockets interface {
	// Socket makes a socket fit for this engine.
	Socket(family Family, kind Kind) (fd int, err error)

	// Bind binds fd. A Path names a Unix socket.
	Bind(fd int, addr transport.Addr) error

	// Listen makes fd listen.
	Listen(fd, backlog int) error

	// Adopt duplicates f's descriptor, makes the copy fit for this engine and
	// closes f, also on error.
	Adopt(f *os.File) (fd int, err error)

	// Describe says what fd is.
	Describe(fd int) (family Family, kind Kind, err error)

	// Pollable says whether Poll can watch fd: EPERM for a regular file or a
	// directory, EBADF for none.
	Pollable(fd int) error

	// LocalAddr returns the address of fd, the zero Addr where it has none.
	LocalAddr(fd int) (transport.Addr, error)

	// RemoteAddr returns the address of fd's peer.
	RemoteAddr(fd int) (transport.Addr, error)

	// PeerCred returns who is at the other end of a Unix stream socket.
	PeerCred(fd int) (transport.Credentials, error)

	// Cookie returns what no other open socket has: SO_COOKIE; of what is no socket,
	// its inode.
	Cookie(fd int) (uint64, error)

	// SetOption sets a socket option.
	SetOption(fd int, option Option, value int) error

	// GetOption reads a socket option.
	GetOption(fd int, option Option) (int, error)

	// TrySend sends what the kernel takes of bufs right now, 0 if nothing, in
	// one call. It must not be called with a send in flight on fd.
	TrySend(fd int, bufs [][]byte) (n int, err error)

	// ShutdownWrite sends FIN once everything sent before is on its way.
	ShutdownWrite(fd int) error

	// StopListening makes a listener refuse connections at once, before its
	// operations have ended and it can be closed: shutdown(2) of both sides.
	StopListening(fd int) error

	// CloseFD closes fd without waiting for anything. No operation may be in flight on
	// it.
	CloseFD(fd int) error

	// Discard closes a descriptor on which there never was an operation, and that may
	// be of anybody's file: it is closed elsewhere, soon, because that may wait.
	Discard(fd int)
}

// Datagrams is what datagram sockets alone can do.
type Datagrams interface {
	// ConnectDatagram makes addr the peer of a datagram socket, which receives
	// nothing from others then.
	ConnectDatagram(fd int, addr transport.Addr) error

	// TrySendMany sends the first datagrams of batch that the kernel takes right
	// now, in order and at most BatchMax, and returns how many those were. err is
	// why the one after them was not sent; nil means that there is no room for it,
	// or nothing. It must not be called with a send in flight on fd. Those with a
	// Segment are sent whole or not at all, and need the option Segmentation.
	TrySendMany(fd int, batch []Packet) (n int, err error)

	// TakeError takes the first message off the error queue of a datagram socket
	// with the option RecvErr or RecvErr6; false if there is none.
	TakeError(fd int) (QueuedError, bool)

	// JoinGroup has a datagram socket receive what is sent to a multicast group
	// on the interface with that index, 0 for the one that routing chooses.
	JoinGroup(fd int, group netip.Addr, index int) error

	// MulticastFrom has a datagram socket send to groups from that interface.
	MulticastFrom(fd int, family Family, index int) error
}

// Files is what is done with files that are sent.
type Files interface {
	// StatFile says what an open file is. Where it was at least enough bytes long
	// when it was asked for before, the answer may be the one from then: an open
	// file does not become another one, and a size that matters is not passed as
	// enough. Errors: os.ErrInvalid for nil, os.ErrClosed, fstat(2)'s.
	StatFile(f *os.File, enough int64) (FileStat, error)

	// TrySendfile sends at most n > 0 bytes of a file, from offset on, as far as
	// the kernel takes them right now: 0 without an error if it has no room. The
	// file's own position is not moved. io.EOF says that nothing is left there,
	// os.ErrClosed that the file was closed. It must not be called with a send in
	// flight on fd. Where the bytes are not Cached it waits for the disk.
	TrySendfile(fd int, from File, offset int64, n int) (sent int, err error)

	// Cached guesses whether n > 0 bytes of a file, from offset on, can be read
	// without waiting for a disk or a network. It may remember for a moment what it
	// has found of the file with that ID.
	Cached(from File, offset int64, n int) bool
}

// Rights is descriptors that are passed over Unix sockets.
type Rights interface {
	// Duplicate returns another descriptor of the open file f, close-on-exec,
	// and changes nothing of f.
	Duplicate(f *os.File) (fd int, err error)

	// TrySendFDs sends what the kernel takes of data, which is not empty, right
	// now, and with the first byte of it the descriptors fds, at most FDsMax, which
	// stay the caller's. n = 0 without an error means that there is no room, and
	// that nothing was sent. It must not be called with a send in flight on fd, a
	// Unix stream socket.
	TrySendFDs(fd int, data []byte, fds []int) (n int, err error)

	// TryRecvFDs receives into buf what is there, and the descriptors that came
	// with it, close-on-exec, as files. EAGAIN says that there is nothing, n = 0
	// without an error that the peer is done. lost says that more were sent than
	// this process could take. It must not be called with a receive in flight.
	TryRecvFDs(fd int, buf []byte) (n int, files []*os.File, lost bool, err error)

	// DiscardFile closes a file of TryRecvFDs as Discard closes a descriptor.
	DiscardFile(f *os.File)
}

// Pipes is pipes, FIFOs and character devices.
type Pipes interface {
	// AdoptPipe duplicates f's descriptor for reading or for writing, makes the
	// copy fit for this engine and closes f, also on error, unless it is a standard
	// stream. Errors: ErrNotPipe; EBADF where f is not open for that.
	AdoptPipe(f *os.File, write bool) (Pipe, error)

	// SetBlocking undoes what AdoptPipe did to a Pipe that says Restore.
	SetBlocking(fd int) error

	// SameFile reports whether two descriptors are of one open file, and so have one
	// mode.
	SameFile(a, b int) bool
}
