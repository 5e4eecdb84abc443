package transport

import (
	"io"
	"os"
)

// BaseTransport is the set of methods that all transports have in common.
type BaseTransport interface {
	// Close closes the transport. It returns at once and always returns nil.
	// Buffered output is flushed first; no more data is received. The protocol's
	// ConnectionLost(nil) is called afterwards, never from inside Close. Calling
	// Close again does nothing.
	io.Closer

	// IsClosing reports whether the transport is closing or closed. Once true, it
	// stays true: after Close, Abort, an error, or an EOF after which the protocol
	// did not ask to keep the transport open.
	IsClosing() bool

	// ExtraInfo returns the value of one of asyncio's names: "peername" and
	// "sockname" (net.Addr), "socket" (syscall.RawConn); for a TLS transport
	// "ssl_object" (tls.ConnectionState), "sslcontext" (*tls.Config), "peercert"
	// (*x509.Certificate) and "cipher" (Cipher); "pipe" (syscall.RawConn) for a
	// pipe, including a child's; "subprocess" (*os.ProcessState) for a child that
	// has exited. Two names are not asyncio's: "peercred", the Credentials of a
	// Unix socket's peer, and "close_notify", which is true if a TLS peer has ended
	// its output in an orderly way. ExtraInfo returns nil for an unknown name.
	// "peername" and "sockname" remain available after the connection is lost.
	ExtraInfo(name string) any

	// SetProtocol replaces the protocol. From the next callback on, ConnectionLost
	// included, all callbacks go to p and none to the old protocol. It calls
	// neither ConnectionMade nor PauseWriting on p; see WriteTransport.WritePaused.
	//
	// Errors: ErrNilProtocol, and ErrProtocolKind if p lacks the callbacks that
	// this transport needs. The old protocol then stays.
	SetProtocol(p BaseProtocol) error

	// Protocol returns the current protocol, or nil after ConnectionLost.
	Protocol() BaseProtocol
}

// BaseProtocol is the set of callbacks that every transport needs. Package protocol
// adds those that each kind of transport needs.
type BaseProtocol interface {
	// ConnectionLost is the last callback, called exactly once for every
	// ConnectionMade, and never from inside a call to one of the transport's
	// methods. err is nil after the peer's EOF and after a local Close or Abort;
	// otherwise it is what ended the connection: an *net.OpError that wraps the
	// errno, or a *protocol.PanicError. It implies ResumeWriting: a paused protocol
	// gets no other call.
	ConnectionLost(err error)

	// PauseWriting is called when the size of the write buffer exceeds its high
	// mark. It is the one callback that may be called from inside the protocol's
	// own call (Write, WriteLines, WriteOwned, SendTo, SetWriteBufferLimits). It is
	// not called again before ResumeWriting.
	PauseWriting()

	// ResumeWriting is called when the buffer has drained to its low mark or below.
	// The protocol may write, close or abort from inside it.
	ResumeWriting()
}

// ReadTransport is a transport that receives.
type ReadTransport interface {
	BaseTransport

	// IsReading reports whether the transport is receiving: it is false while
	// reading is paused, when closing, and after EOF.
	IsReading() bool

	// PauseReading stops delivery until ResumeReading: until then neither data nor
	// EOF is passed to the protocol. It is idempotent, takes effect before any
	// further delivery, and does nothing on a closing transport.
	PauseReading()

	// ResumeReading undoes PauseReading. What arrived in the meantime is delivered
	// by the loop, in order, never from inside this call.
	ResumeReading()
}

// WriteTransport is a transport that sends.
type WriteTransport interface {
	BaseTransport

	// Write queues p to be sent, in call order with WriteLines, WriteOwned and
	// files. It never blocks and does not retain p: what the kernel does not accept
	// at once is copied before Write returns. Only a part of the slice that
	// DataReceived was given may be sent without a copy, and must not be changed
	// before DataReceived returns. Write returns len(p) and nil, or 0 and an error;
	// an I/O error is not returned here but passed to ConnectionLost.
	//
	// Errors: ErrEOFWritten after WriteEOF; ErrClosed after Close, Abort or the
	// loss of the connection; ErrBufferFull if the write would exceed a hard limit
	// set for this transport. Writing never panics.
	io.Writer

	// WriteLines writes each slice in order, as Write does, and applies flow
	// control once. Empty slices are skipped. The slices are not retained.
	WriteLines(lines [][]byte) error

	// WriteEOF closes the write side once all buffered output has been sent.
	// Receiving continues. It is idempotent and does nothing on a closing
	// transport.
	WriteEOF() error

	// CanWriteEOF reports whether WriteEOF is supported: true for TCP, Unix sockets
	// and pipes, false for TLS.
	CanWriteEOF() bool

	// Abort closes at once: buffered output is dropped, and ConnectionLost(nil)
	// follows, never from inside Abort. It cuts short a Close that is still
	// flushing.
	Abort()

	// WriteBufferSize returns the number of bytes that were accepted but not yet
	// taken by the kernel, those in flight included. It is O(1).
	WriteBufferSize() int

	// WriteBufferLimits returns the water marks.
	WriteBufferLimits() Limits

	// SetWriteBufferLimits sets the water marks. If the current size exceeds the
	// new High, PauseWriting is called at once. A negative High or Low selects
	// asyncio's default for it: Low a quarter of High, High four times Low, or
	// DefaultLimits if both are negative. Error: ErrBadLimits; the old marks then
	// stay.
	SetWriteBufferLimits(Limits) error

	// WritePaused reports whether PauseWriting has been called and ResumeWriting
	// has not been called since. A protocol that was installed with SetProtocol
	// asks here. From ConnectionLost on, which takes the place of ResumeWriting, it
	// is false.
	WritePaused() bool
}

// Transport is a bidirectional stream: TCP, Unix, TLS.
type Transport interface {
	ReadTransport
	WriteTransport
}

// OwnedWriter is implemented by transports that can send a slice without
// copying it. All stream transports of package loop implement it.
type OwnedWriter interface {
	// WriteOwned is Write without the copy. p belongs to the transport until
	// release is called, once, on the loop's goroutine and never from inside
	// WriteOwned: when the kernel no longer reads p, also after Abort or an error.
	// release may be nil. If WriteOwned returns an error, p was not accepted and
	// release is not called.
	WriteOwned(p []byte, release func()) error
}

// FDWriter is implemented by transports that may be able to pass open files to
// another process. All stream transports of package loop implement it; only those
// over Unix sockets can pass files.
type FDWriter interface {
	// WriteWithFDs is Write accompanied by the descriptors of files, which arrive
	// no later than the first byte of p, and which the peer gets as descriptors of
	// its own. The files are duplicated before the call returns, so the caller may
	// close its own. Duplicates that are queued and cannot be sent are closed. A
	// peer that does not ask for descriptors (protocol.FDReceiver, recvmsg(2)) gets
	// only the bytes.
	//
	// Errors: those of Write; ErrNotUnix on anything but a Unix stream socket; an
	// *net.OpError with EINVAL if p or files is empty, or with more than 253 files
	// (SCM_MAX_FD, unix(7)); os.ErrClosed for a closed file; EMFILE.
	WriteWithFDs(p []byte, files []*os.File) error
}

// DatagramTransport sends and receives datagrams.
type DatagramTransport interface {
	ReadTransport

	// SendTo queues one datagram, to be sent in call order. It never blocks. The
	// zero Addr means the endpoint's peer. data is not retained. An empty datagram
	// is sent as such. An error from the kernel about a datagram is not returned
	// here but passed to ErrorReceived; that datagram is dropped, the others are
	// sent.
	//
	// Errors: ErrNoDestination without an address on an endpoint that has no peer;
	// ErrAddrMismatch with an address other than the peer's on one that has a peer;
	// ErrClosed after Close, Abort or the loss of the endpoint; ErrBufferFull if
	// the datagram would exceed a hard limit set for this transport.
	SendTo(data []byte, addr Addr) error

	// Abort closes at once and drops the datagrams that have not been sent.
	Abort()

	// WriteBufferSize returns the number of bytes in the datagrams that were
	// accepted but not yet taken by the kernel, plus 8 for each, so that empty ones
	// count too. It is O(1).
	WriteBufferSize() int

	// WriteBufferLimits returns the water marks.
	WriteBufferLimits() Limits

	// SetWriteBufferLimits is as in WriteTransport.
	SetWriteBufferLimits(Limits) error

	// WritePaused is as in WriteTransport.
	WritePaused() bool
}

// Datagram is one datagram of a batch.
type Datagram struct {
	Data []byte
	Addr Addr // where it goes; the zero Addr means the endpoint's peer
}

// BatchSender is implemented by transports that accept several datagrams at once.
// All datagram transports of package loop implement it.
type BatchSender interface {
	// SendBatch is SendTo for each datagram of a batch, in order, with flow control
	// applied once, after the last: PauseWriting is called at most once, and no
	// datagram is held back because of it. Neither the batch nor its slices are
	// retained.
	//
	// It returns the number of datagrams accepted. If that is less than all of
	// them, err says why the next one was not, and is one of the errors of SendTo.
	// The datagrams after that one, batch[n+1:], were not looked at and may be sent
	// with another call.
	// An error from the kernel about a datagram that was accepted is passed to
	// ErrorReceived, one call for each such datagram; the others are sent.
	SendBatch(batch []Datagram) (n int, err error)
}

// SubprocessTransport is a child process and its pipes.
type SubprocessTransport interface {
	// Close kills a child that is still running and closes its pipes.
	BaseTransport

	// Pid returns the child's process ID.
	Pid() int

	// PipeTransport returns the transport of the child's descriptor: a
	// WriteTransport for 0, a ReadTransport for 1 and 2, and nil if there is no
	// pipe.
	PipeTransport(fd int) BaseTransport

	// ReturnCode returns the exit code, or the negated number of the signal that
	// ended the child. It reports false while the child is running.
	ReturnCode() (code int, exited bool)

	// SendSignal sends a signal, which must be a syscall.Signal; 0 sends none. It
	// cannot reach another process that has reused the child's ID. Until
	// ProcessExited has been called, a signal to a child that has exited is lost
	// without an error. Errors: os.ErrProcessDone after ProcessExited;
	// subprocess.ErrSignal, with EINVAL, for a value that is not a signal; EPERM if
	// the child runs as another user.
	SendSignal(sig os.Signal) error

	// Terminate sends SIGTERM. Error: os.ErrProcessDone.
	Terminate() error

	// Kill sends SIGKILL. Error: os.ErrProcessDone.
	Kill() error
}
