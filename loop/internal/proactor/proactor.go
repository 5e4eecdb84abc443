package proactor

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/transport"
)

var (
	// ErrClosed is returned by Wait after Close.
	ErrClosed = errors.New("proactor: closed")

	// ErrNotSupported is wrapped with the feature's name, the kernel version
	// that has it, and the remedy.
	ErrNotSupported = errors.New("not supported")

	// ErrNotPipe: AdoptPipe of a regular file, a directory or a block device.
	ErrNotPipe = errors.New("not a pipe, FIFO, socket or character device")
)

// Proactor is an engine. All methods but Wake are called by one goroutine at a
// time; Start and Wait always on the same thread, to which that goroutine is
// locked. No method but Wait, Start and Close makes a ring's system calls, so
// that the others may also be called before Start, on another thread.
type Proactor interface {
	// Start binds the engine to the calling thread. It is called once, before
	// the first Wait.
	Start() error

	// Submit hands op over. It never calls its handler and never fails: what
	// goes wrong is a completion. The work may begin only in the next Wait.
	Submit(op *Op)

	// Cancel asks for the end of op, which still completes: with its result,
	// or with ECANCELED. It does nothing to an idle operation, or twice.
	Cancel(op *Op)

	// Wait carries out what was submitted, waits for completions no longer than
	// timeout (negative: for ever; 0: not at all) and delivers those that are
	// there. It also returns after Wake, or with nothing at all. Handlers may
	// call every method but Wait and Close. An error is fatal to the engine.
	Wait(timeout time.Duration) error

	// Wake makes the current or the next Wait return soon. Any goroutine.
	Wake()

	// Now is the engine's monotonic clock, from some time in the past.
	Now() time.Duration

	// Halt ends what is in flight, without completions, after Wait has failed. Then
	// descriptors may be closed, and memory of Alloc is still there until Close.
	Halt()

	// Close ends what is in flight, without completions, and frees everything.
	// Descriptors of connections are not its business. It is called on the
	// thread that called Start, if any did.
	Close() error

	// Stats counts.
	Stats() Stats

	// Watch has p told of time and of a lack of buffers, from now on. It is called
	// before Start. Without it none of that costs anything.
	Watch(p Pulse)

	Memory
	Kernel
}

// Pulse is told by an engine, inside Wait, what its loop cannot see: when it sleeps
// and which operation lacks a buffer. now is the time of Now. It must not call the
// engine.
type Pulse interface {
	// Round is called at the beginning of each Wait.
	Round(now time.Duration)

	// Sleep is called before a call that may sleep, and Woke after it, before its
	// completions are delivered.
	Sleep(now time.Duration)
	Woke(now time.Duration)

	// Starved is called when a RecvAny or RecvMsg found no buffer, and Fed when it
	// is tried again.
	Starved(op *Op)
	Fed(op *Op)
}

// Memory is buffers that an engine can receive into best: with io_uring,
// registered ones.
type Memory interface {
	// Alloc returns n > 0 bytes, zeroed. It falls back to plain memory, and
	// tells Config.Fallback, where registered memory is not to be had.
	Alloc(n int) []byte

	// Free takes back what Alloc returned, whole. It panics at a slice that is
	// not from Alloc. No operation may be using it.
	Free(b []byte)
}

// Kernel is the socket calls that the kernel answers at once. Errors are
// *os.SyscallError.
type Kernel interface {
	// Socket makes a socket fit for this engine.
	Socket(family Family, kind Kind) (fd int, err error)

	// Bind binds fd. A Path names a Unix socket.
	Bind(fd int, addr transport.Addr) error

	// Listen makes fd listen.
	Listen(fd, backlog int) error

	// Adopt duplicates f's descriptor, makes the copy fit for this engine and
	// closes f, also on error.
	Adopt(f *os.File) (fd int, err error)

	// AdoptPipe duplicates f's descriptor for reading or for writing, makes the
	// copy fit for this engine and closes f, also on error, unless it is a standard
	// stream. Errors: ErrNotPipe; EBADF where f is not open for that.
	AdoptPipe(f *os.File, write bool) (Pipe, error)

	// SetBlocking undoes what AdoptPipe did to a Pipe that says Restore.
	SetBlocking(fd int) error

	// SameFile reports whether two descriptors are of one open file, and so have one
	// mode.
	SameFile(a, b int) bool

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

	// DiscardFile does so with a file of TryRecvFDs.
	DiscardFile(f *os.File)
}

// FDsMax is the most descriptors that one message carries (Linux: SCM_MAX_FD).
const FDsMax = 253

// File is an open regular file to send from.
type File struct {
	io.ReaderAt                 // its content, for who reads it on another goroutine
	Conn        syscall.RawConn // its descriptor; nil where the kernel is simulated
	ID          FileID          // which file it is; zero if that is not known
}

// FileID is what tells a file from all others that exist.
type FileID struct{ Device, Inode uint64 }

// FileStat is what StatFile says of a file.
type FileStat struct {
	File
	Size    int64 // bytes
	Regular bool  // it is no pipe, device or directory
}

// Spawner is an engine that has children of its own: the simulated kernel. Where it
// is one, no process of the operating system is started.
type Spawner interface {
	// Spawn starts a simulated program. pipes says which of its standard streams are
	// connected to us, merged that its error output is its output.
	Spawn(args []string, pipes [3]bool, merged bool) (Spawned, error)

	// SignalChild sends a signal to the child behind a pidfd. Error:
	// os.ErrProcessDone.
	SignalChild(pidfd int, sig syscall.Signal) error

	// ReapChild returns the exit code of a child, the negated number of a signal.
	// What still runs is killed.
	ReapChild(pidfd int) (code int)
}

// Spawned is a child that was started.
type Spawned struct {
	PID   int         // its process id
	FD    int         // its pidfd
	Pipes [3]*os.File // our ends, for AdoptPipe
}

// BatchMax is the most that TrySendMany sends at once.
const BatchMax = 64

// SegmentsMax is the most datagrams that one Packet can be (Linux: UDP_MAX_SEGMENTS
// was 64 before 6.9 and is 128 since).
const SegmentsMax = 64

// SegmentedMax is the most bytes that one Packet of several datagrams can have:
// what an IPv4 packet has room for.
const SegmentedMax = 65507

// Packet is one datagram to send, or several to the same address. The zero Addr is
// the connected peer.
type Packet struct {
	Data    []byte         // the bytes
	Addr    transport.Addr // where they go
	Segment int            // Data is datagrams of so many bytes, the last maybe less; 0: one
}

// Count is how many datagrams p is.
func (p *Packet) Count() int {
	if p.Segment == 0 {
		return 1
	}
	return (len(p.Data) + p.Segment - 1) / p.Segment
}

// QueuedError is a message of a socket's error queue (ip(7): IP_RECVERR).
type QueuedError struct {
	Errno      syscall.Errno  // what it means
	Local      bool           // the call that sent the datagram failed with it already
	V6         bool           // from ICMPv6
	Type, Code uint8          // of the ICMP message
	Info       uint32         // the path's MTU where it is about that
	Dest       transport.Addr // where the datagram was to go
	Offender   netip.Addr     // who answered
}

// Pipe is one direction of a pipe, FIFO, socket or character device.
type Pipe struct {
	FD      int  // non-blocking, or a socket
	Device  bool // a character device: a terminal, mostly
	Restore bool // others share its mode, which was blocking
}

// Family is an address family.
type Family uint8

// The families.
const (
	Other Family = iota // Describe alone returns it
	IPv4
	IPv6
	Unix
)

// Kind is a type of socket.
type Kind uint8

// The kinds.
const (
	NotSocket Kind = iota // Describe alone returns it
	Stream
	Datagram
	SeqPacket // connected, and keeps the bounds of messages; Unix alone
)

// Option is a socket option.
type Option uint8

// The options; values are as in socket(7), tcp(7), ipv6(7).
const (
	NoDelay        Option = iota // TCP_NODELAY
	ReuseAddr                    // SO_REUSEADDR
	ReusePort                    // SO_REUSEPORT
	KeepAlive                    // SO_KEEPALIVE
	V6Only                       // IPV6_V6ONLY
	LingerReset                  // SO_LINGER with time 0: close sends RST
	SendBuffer                   // SO_SNDBUF
	ReceiveBuffer                // SO_RCVBUF
	SocketError                  // SO_ERROR, read only
	TCPState                     // of TCP_INFO, read only: see TCPClosed
	Broadcast                    // SO_BROADCAST
	BindNoPort                   // IP_BIND_ADDRESS_NO_PORT
	MulticastTTL                 // IP_MULTICAST_TTL
	MulticastHops                // IPV6_MULTICAST_HOPS
	MulticastLoop                // IP_MULTICAST_LOOP
	MulticastLoop6               // IPV6_MULTICAST_LOOP
	Segmentation                 // UDP_SEGMENT: read to see whether it is there
	Coalesce                     // UDP_GRO
	RecvErr                      // IP_RECVERR
	RecvErr6                     // IPV6_RECVERR
	optionCount
)

// TCPClosed is the state of a connection that was reset (TCP_CLOSE), or whose both ends
// have sent FIN.
const TCPClosed = 7

// OptionCount is how many options there are.
const OptionCount = int(optionCount)

// Config is what an engine is made with. The zero value has defaults.
type Config struct {
	Entries   uint32 // submission queue entries, a power of two; 0: 256
	CQEntries uint32 // completion queue entries, a power of two; 0: enough

	// Receive buffers, handed out to RecvAny and RecvMsg.

	BufferSize int // bytes of one; 0: 64 KiB
	BuffersMin int // in circulation at first; 0: 16
	BuffersMax int // in circulation at most, a power of two; 0: 256

	// Called on the loop's goroutine, also outside Wait. Nil: not called.

	BuffersExhausted func(group uint16)
	Fallback         func(feature string, err error)
}

// WithDefaults returns c with its zero values filled in.
func (c Config) WithDefaults() Config {
	if c.Entries == 0 {
		c.Entries = 256
	}
	if c.BufferSize == 0 {
		c.BufferSize = 64 << 10
	}
	if c.BuffersMin == 0 {
		c.BuffersMin = 16
	}
	if c.BuffersMax == 0 {
		c.BuffersMax = 256
	}
	return c
}

// Stats counts what an engine did since it was made.
type Stats struct {
	Syscalls         uint64 // made for operations and waiting, all kinds
	Waits            uint64 // of those, ones that may have slept
	Submitted        uint64 // operations
	Completed        uint64 // completions delivered
	Wakes            uint64 // writes to wake the loop
	BuffersExhausted uint64 // times that RecvAny found no buffer
	BuffersInUse     int    // receive buffers in circulation
	Overflows        uint64 // completions that did not fit in the queue
}
