package transport

import (
	"io"
	"os"
)

// BaseTransport is what all transports have in common.
type BaseTransport interface {
	// Close closes the transport. It returns at once and always returns nil.
	// Buffered output is flushed first; no more data is received. After that
	// the protocol's ConnectionLost(nil) is called, never from inside Close.
	// Calling Close again does nothing.
	io.Closer

	// IsClosing reports whether the transport is closing or closed. Once true
	// it stays true: after Close, Abort, an error, or an EOF that the protocol
	// did not ask to survive.
	IsClosing() bool

	// ExtraInfo returns what is known under one of asyncio's names: "peername"
	// and "sockname" (net.Addr), "socket" (syscall.RawConn); of a TLS transport
	// "ssl_object" (tls.ConnectionState), "sslcontext" (*tls.Config), "peercert"
	// (*x509.Certificate) and "cipher" (Cipher); "pipe" (syscall.RawConn) of a pipe,
	// also of a child's; "subprocess" (*os.ProcessState) of a child that has exited.
	// Names of our own are "peercred", the Credentials of a Unix socket's peer, and
	// "close_notify", true where a TLS peer has ended its output in order. It returns
	// nil for a name that it does not know. "peername" and "sockname" outlive the
	// connection.
	ExtraInfo(name string) any

	// SetProtocol replaces the protocol. The next callback, ConnectionLost
	// included, goes to p and none to the old one. It calls neither
	// ConnectionMade nor PauseWriting on p; see WriteTransport.WritePaused.
	//
	// Errors: ErrNilProtocol, and ErrProtocolKind where p lacks the callbacks
	// that this transport needs. The old protocol then stays.
	SetProtocol(p BaseProtocol) error

	// Protocol returns the current protocol, nil after ConnectionLost.
	Protocol() BaseProtocol
}

// BaseProtocol is what every transport needs of its protocol. Package protocol
// adds to it what each kind of transport needs besides.
type BaseProtocol interface {
	// ConnectionLost is the last callback, called exactly once for every
	// ConnectionMade, and never from inside a call of the transport's methods.
	// err is nil after the peer's EOF and after a local Close or Abort, else
	// it is what ended the connection: an *net.OpError that wraps the errno, or
	// a *protocol.PanicError. It implies ResumeWriting: a paused protocol gets
	// no other call.
	ConnectionLost(err error)

	// PauseWriting is called when the write buffer grows strictly beyond its
	// high mark. It is the one callback that may be called from inside the
	// protocol's own call (Write, WriteLines, WriteOwned, SendTo,
	// SetWriteBufferLimits). It is not called again before ResumeWriting.
	PauseWriting()

	// ResumeWriting is called when the buffer has drained to its low mark or
	// below. The protocol may write, close or abort inside it.
	ResumeWriting()
}

// ReadTransport is a transport that receives.
type ReadTransport interface {
	BaseTransport

	// IsReading reports whether the transport receives: false when paused,
	// closing, or after EOF.
	IsReading() bool

	// PauseReading stops delivery until ResumeReading: no data and no EOF is
	// passed to the protocol meanwhile. It is idempotent, takes effect before
	// any further delivery, and does nothing on a closing transport.
	PauseReading()

	// ResumeReading undoes PauseReading. What arrived meanwhile is delivered
	// from the loop, in order, never from inside this call.
	ResumeReading()
}

// WriteTransport is a transport that sends.
type WriteTransport interface {
	BaseTransport

	// Write queues p to be sent, in call order with WriteLines, WriteOwned and
	// files. It never blocks and does not retain p: what the kernel does not
	// take is copied before it returns. It returns len(p), nil or 0 and an
	// error; an I/O error is not returned here but passed to ConnectionLost.
	//
	// Errors: ErrEOFWritten after WriteEOF, ErrClosed after Close, Abort or the
	// loss of the connection, ErrBufferFull beyond a hard limit that was asked
	// for. Writing never panics.
	io.Writer

	// WriteLines writes each slice in order, as Write does, and applies flow
	// control once. Empty slices are skipped. The slices are not retained.
	WriteLines(lines [][]byte) error

	// WriteEOF closes the write side after all buffered output was sent.
	// Receiving goes on. It is idempotent and does nothing on a closing
	// transport.
	WriteEOF() error

	// CanWriteEOF reports whether WriteEOF is possible: true for TCP, Unix
	// sockets and pipes, false for TLS.
	CanWriteEOF() bool

	// Abort closes at once: buffered output is dropped, and ConnectionLost(nil)
	// follows, never from inside Abort. It ends a Close that is still flushing.
	Abort()

	// WriteBufferSize is the number of bytes that were accepted and that the
	// kernel has not yet taken, those in flight included. It is O(1).
	WriteBufferSize() int

	// WriteBufferLimits returns the water marks.
	WriteBufferLimits() Limits

	// SetWriteBufferLimits sets the water marks. Lowering High below the
	// current size calls PauseWriting at once. A negative High or Low asks for
	// asyncio's default of it: Low a quarter of High, High four times Low,
	// DefaultLimits where both are negative. Error: ErrBadLimits; the old marks
	// then stay.
	SetWriteBufferLimits(Limits) error

	// WritePaused reports whether PauseWriting was called and ResumeWriting not
	// yet. A protocol that was put in place with SetProtocol asks here. From
	// ConnectionLost on, which takes the place of ResumeWriting, it is false.
	WritePaused() bool
}

// Transport is a two-way stream: TCP, Unix, TLS.
type Transport interface {
	ReadTransport
	WriteTransport
}

// OwnedWriter is implemented by transports that can send a slice without
// copying it. All stream transports of package loop implement it.
type OwnedWriter interface {
	// WriteOwned is Write without the copy. p belongs to the transport until
	// release is called, once, on the loop's goroutine and never from inside
	// WriteOwned: when the kernel no longer reads p, also after Abort or an
	// error. release may be nil. When WriteOwned returns an error, p was not
	// accepted and release is not called.
	WriteOwned(p []byte, release func()) error
}

// FDWriter is implemented by transports that may pass open files to another
// process. All stream transports of package loop implement it; those over Unix
// sockets can do it.
type FDWriter interface {
	// WriteWithFDs is Write with descriptors of files, which arrive no later than
	// the first byte of p, and which the peer gets as descriptors of its own. The
	// files are duplicated before it returns, so the caller may close his. What
	// is queued and cannot be sent is closed. A peer that does not ask for
	// descriptors (protocol.FDReceiver, recvmsg(2)) gets the bytes alone.
	//
	// Errors: those of Write; ErrNotUnix on anything but a Unix stream socket;
	// *net.OpError with EINVAL without a byte or a file, or with more than 253
	// files (SCM_MAX_FD, unix(7)); os.ErrClosed for a closed file; EMFILE.
	WriteWithFDs(p []byte, files []*os.File) error
}

// DatagramTransport sends and receives datagrams.
type DatagramTransport interface {
	ReadTransport

	// SendTo queues one datagram, to be sent in call order. It never blocks. The
	// zero Addr means the endpoint's peer. data is not retained. An empty datagram
	// is sent as such. What the kernel says to a datagram is not returned here
	// but passed to ErrorReceived; that datagram is dropped, the others are sent.
	//
	// Errors: ErrNoDestination without an address on an endpoint without a peer,
	// ErrAddrMismatch with another address than the peer's on one that has a peer,
	// ErrClosed after Close, Abort or the loss of the endpoint, ErrBufferFull beyond
	// a hard limit that was asked for.
	SendTo(data []byte, addr Addr) error

	// Abort closes at once and drops the datagrams that were not sent.
	Abort()

	// WriteBufferSize counts the bytes of the datagrams that were accepted and
	// that the kernel has not yet taken, and 8 more for each, so that empty ones
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

// BatchSender is implemented by transports that take several datagrams at once.
// All datagram transports of package loop implement it.
type BatchSender interface {
	// SendBatch is SendTo for each datagram of a batch, in order, with flow control
	// applied once, after the last: PauseWriting is called at most once, and none
	// is held back for it. Neither the batch nor its slices are retained.
	//
	// It returns how many were accepted. When that is less than all, err is why
	// the first of the others was not, one of the errors of SendTo, and none after
	// it was looked at: batch[n+1:] may be sent with another call. What the kernel
	// says to one of those that were accepted is passed to ErrorReceived, for each
	// by itself; the others are sent.
	SendBatch(batch []Datagram) (n int, err error)
}

// SubprocessTransport is a child process and its pipes.
type SubprocessTransport interface {
	// Close kills a child that still runs and closes its pipes.
	BaseTransport

	// Pid is the child's process id.
	Pid() int

	// PipeTransport returns the transport of the child's descriptor: a
	// WriteTransport for 0, a ReadTransport for 1 and 2, and nil where there is
	// no pipe.
	PipeTransport(fd int) BaseTransport

	// ReturnCode is the exit code, the negated number of the signal that ended
	// the child, and false while it runs.
	ReturnCode() (code int, exited bool)

	// SendSignal sends a signal, which must be a syscall.Signal; 0 sends none. It
	// cannot reach another process that has got the child's number since. One to
	// a child that has exited is lost without an error until ProcessExited was
	// called. Errors: os.ErrProcessDone from then on; subprocess.ErrSignal, with
	// EINVAL, for what is no signal; EPERM where the child has another user.
	SendSignal(sig os.Signal) error

	// Terminate sends SIGTERM. Error: os.ErrProcessDone.
	Terminate() error

	// Kill sends SIGKILL. Error: os.ErrProcessDone.
	Kill() error
}
