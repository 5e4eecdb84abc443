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

	// ErrNotPipe: AdoptPipe of a regular file, a directory or a block device.
	ErrNotPipe = errors.New("not a pipe, FIFO, socket or character device")
)

// Proactor is an engine. All methods except Wake are called by one goroutine at a
// time; Start and Wait always on the same thread, to which that goroutine is
// locked. No method except Wait, Start and Close makes a ring's system calls, so
// the others may also be called before Start, on another thread.
type Proactor interface {
	// Start binds the engine to the calling thread. It is called once, before
	// the first Wait.
	Start() error

	// Submit hands op over. It never calls its handler and never fails: any error
	// is reported as a completion. The work may not begin until the next Wait.
	Submit(op *Op)

	// Cancel requests the end of op, which still completes: with its result, or
	// with ECANCELED. It does nothing to an idle operation, or when called again.
	Cancel(op *Op)

	// Wait carries out what was submitted, waits for completions no longer than
	// timeout (negative: forever; 0: not at all) and delivers those that have
	// arrived. It also returns after Wake, or without any reason. Handlers may call
	// every method except Wait and Close. An error is fatal to the engine.
	Wait(timeout time.Duration) error

	// Wake makes the current or the next Wait return soon. It may be called on any
	// goroutine.
	Wake()

	// Now returns the time of the engine's monotonic clock, since some time in the
	// past.
	Now() time.Duration

	// Halt ends what is in flight, without completions, after Wait has failed.
	// Descriptors may then be closed; memory from Alloc remains valid until Close.
	Halt()

	// Close ends what is in flight, without completions, and frees everything. It
	// does not close the descriptors of connections. It is called on the thread
	// that called Start, if any did.
	Close() error

	// Stats returns the counters.
	Stats() Stats

	// Watch makes o observe time and the lack of buffers from now on. It is called
	// before Start. Without it, observation costs nothing.
	Watch(o Observer)

	Memory
	Kernel
}

// Observer is told by an engine, inside Wait, what its loop cannot see: when the
// engine sleeps and which operation lacks a buffer. now is the time of Now. It must
// not call the engine.
type Observer interface {
	// Round is called at the beginning of each Wait.
	Round(now time.Duration)

	// Sleep is called before a call that may sleep, and Woke after it, before its
	// completions are delivered.
	Sleep(now time.Duration)
	Woke(now time.Duration)

	// Starved is called when a RecvAny or RecvMsg found no buffer, and Retried when
	// that operation is tried again.
	Starved(op *Op)
	Retried(op *Op)
}

// Memory provides the buffers that are best for an engine to receive into: with
// io_uring, registered ones.
type Memory interface {
	// Alloc returns n > 0 bytes, zeroed. If no registered memory is available, it
	// falls back to plain memory and calls Config.Fallback.
	Alloc(n int) []byte

	// Free takes back, whole, what Alloc returned. It panics for a slice that is
	// not from Alloc. No operation may be using it.
	Free(b []byte)

	// GiveBack takes back a buffer that the owner of a RecvAny has kept: see Op. No
	// operation may be using it. After Halt it does nothing that matters.
	GiveBack(buffer uint16)
}

// FDsMax is the maximum number of descriptors in one message (Linux: SCM_MAX_FD).
const FDsMax = 253

// File is an open regular file to send from.
type File struct {
	io.ReaderAt                 // its content, for reading on another goroutine
	Conn        syscall.RawConn // its descriptor; nil if the kernel is simulated
	ID          FileID          // which file it is; zero if that is not known
}

// FileID distinguishes a file from all others that exist.
type FileID struct{ Device, Inode uint64 }

// FileStat is what StatFile returns about a file.
type FileStat struct {
	File
	Size    int64 // bytes
	Regular bool  // not a pipe, device or directory
}

// Spawner is an engine that has children of its own: the simulated kernel. With a
// Spawner, no process of the operating system is started.
type Spawner interface {
	// Spawn starts a simulated program. pipes says which of its standard streams
	// are connected to us, merged whether its error output goes to its output.
	Spawn(args []string, pipes [3]bool, merged bool) (Spawned, error)

	// SignalChild sends a signal to the child behind a pidfd. Error:
	// os.ErrProcessDone.
	SignalChild(pidfd int, sig syscall.Signal) error

	// ReapChild returns the exit code of a child, or the negated number of a
	// signal. A child that is still running is killed.
	ReapChild(pidfd int) (code int)
}

// Spawned is a child that was started.
type Spawned struct {
	PID   int         // its process id
	FD    int         // its pidfd
	Pipes [3]*os.File // our ends, for AdoptPipe
}

// BatchMax is the maximum number of packets that TrySendMany sends at once.
const BatchMax = 64

// SegmentsMax is the maximum number of datagrams in one Packet (Linux:
// UDP_MAX_SEGMENTS was 64 before 6.9 and is 128 since).
const SegmentsMax = 64

// SegmentedMax is the maximum number of bytes in one Packet of several datagrams:
// what an IPv4 packet has room for.
const SegmentedMax = 65507

// Packet is one datagram to send, or several to the same address. The zero Addr
// means the connected peer.
type Packet struct {
	Data    []byte         // the bytes
	Addr    transport.Addr // where they go
	Segment int            // Data is datagrams of this many bytes, the last maybe fewer; 0: one
}

// Count returns the number of datagrams in p.
func (p *Packet) Count() int {
	if p.Segment == 0 {
		return 1
	}
	return (len(p.Data) + p.Segment - 1) / p.Segment
}

// QueuedError is a message of a socket's error queue (ip(7): IP_RECVERR).
type QueuedError struct {
	Errno      syscall.Errno  // what it means
	Local      bool           // the call that sent the datagram already failed with it
	V6         bool           // from ICMPv6
	Type, Code uint8          // of the ICMP message
	Info       uint32         // the path MTU if that is the subject
	Dest       transport.Addr // where the datagram was to go
	Offender   netip.Addr     // who answered
}

// Pipe is one direction of a pipe, FIFO, socket or character device.
type Pipe struct {
	FD      int  // non-blocking, or a socket
	Device  bool // a character device: a terminal, mostly
	Restore bool // its mode, shared with others, was blocking
}

// SplicePipe is a pipe in which bytes wait on their way from one socket to another.
type SplicePipe struct {
	R, W int // its ends
	Size int // how many bytes it holds, if they come in whole pages
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
	SeqPacket // connected, preserves message boundaries; Unix only
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
	Segmentation                 // UDP_SEGMENT: read to see whether it is supported
	Coalesce                     // UDP_GRO
	RecvErr                      // IP_RECVERR
	RecvErr6                     // IPV6_RECVERR
	optionCount
)

// TCPClosed is the state of a connection that was reset (TCP_CLOSE), or both ends
// of which have sent FIN.
const TCPClosed = 7

// OptionCount is the number of options.
const OptionCount = int(optionCount)

// Config is the configuration of an engine. The zero value means the defaults.
type Config struct {
	Entries   uint32 // submission queue entries, a power of two; 0: 256
	CQEntries uint32 // completion queue entries, a power of two; 0: enough

	// Receive buffers, handed out to RecvAny and RecvMsg.

	BufferSize int // bytes of one; 0: 64 KiB
	BuffersMin int // in circulation at first; 0: 16
	BuffersMax int // in circulation at most, a power of two; 0: 256

	// Called on the loop's goroutine, also outside Wait. Nil: not called. The group is
	// StreamBuffers or DatagramBuffers.

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

// The groups of receive buffers: of RecvAny and of RecvMsg.
const (
	StreamBuffers = iota
	DatagramBuffers
)

// Stats counts what an engine has done since it was created.
type Stats struct {
	Syscalls         uint64 // made for operations and waiting, all kinds
	Waits            uint64 // of those, ones that may have slept
	Submitted        uint64 // operations
	Completed        uint64 // completions delivered
	Wakes            uint64 // writes to wake the loop
	BuffersExhausted uint64 // times that RecvAny found no buffer
	BuffersInUse     int    // receive buffers in circulation, or kept by their receivers
	Overflows        uint64 // completions that did not fit in the queue
}
