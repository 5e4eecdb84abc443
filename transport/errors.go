package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
)

// The errors that transports return or report. Errors from the kernel are
// *net.OpError values that wrap an os.SyscallError, so errors.Is finds the errno.
var (
	// ErrClosed: the transport is closing or closed. errors.Is(ErrClosed,
	// net.ErrClosed) holds.
	ErrClosed = fmt.Errorf("transport: %w", net.ErrClosed)

	// ErrEOFWritten: a write after WriteEOF.
	ErrEOFWritten = errors.New("transport: write after WriteEOF")

	// ErrReadOnly: a write to the reading end of a pipe. ConnectionMade receives a
	// Transport even for a reading end; Loop.ConnectReadPipe returns a
	// ReadTransport.
	ErrReadOnly = errors.New("transport: write to the reading end of a pipe")

	// ErrNilProtocol: SetProtocol(nil), or a factory that returned nil.
	ErrNilProtocol = errors.New("transport: protocol is nil")

	// ErrProtocolKind: the protocol lacks the callbacks of this transport's
	// kind, for example a datagram protocol on a stream.
	ErrProtocolKind = errors.New("transport: protocol is of the wrong kind")

	// ErrNoDestination: SendTo without an address on an endpoint that has no peer.
	ErrNoDestination = errors.New("transport: datagram without destination")

	// ErrAddrMismatch: SendTo to an address other than that of the endpoint's peer.
	ErrAddrMismatch = errors.New("transport: datagram endpoint has another peer")

	// ErrNotUnix: the socket is not a Unix socket, or descriptors were to be passed
	// over a transport that is not a Unix stream socket.
	ErrNotUnix = errors.New("transport: not a Unix socket")

	// ErrTruncated: a datagram was longer than the receive buffer. It comes
	// wrapped in a *TruncatedError.
	ErrTruncated = errors.New("transport: datagram truncated")

	// ErrBadLimits: the water marks do not satisfy 0 <= Low <= High.
	ErrBadLimits = errors.New("transport: write buffer limits must be 0 <= Low <= High")

	// ErrBufferFull: the write would exceed the hard limit on buffered bytes that
	// was set for this transport.
	ErrBufferFull = errors.New("transport: write buffer is full")

	// ErrCloseTimeout is passed to ConnectionLost when the output was not
	// flushed within the time allowed for closing.
	ErrCloseTimeout = errors.New("transport: close timed out with output unsent")

	// ErrIdleTimeout is passed to ConnectionLost when nothing was sent or received
	// for longer than the idle time allowed.
	ErrIdleTimeout = errors.New("transport: connection was idle for too long")

	// ErrHandshakeTimeout: the TLS handshake took longer than it was allowed to.
	ErrHandshakeTimeout = errors.New("transport: TLS handshake timed out")

	// ErrShutdownTimeout is passed to ConnectionLost when the peer did not answer
	// close_notify within the time allowed. All output had been sent by then.
	ErrShutdownTimeout = errors.New("transport: peer has not answered TLS close_notify in time")

	// ErrNoCloseNotify is passed to ConnectionLost when the peer's stream ended in
	// the middle of a TLS record, or without a close_notify where one is required:
	// data may be missing. errors.Is(ErrNoCloseNotify, io.ErrUnexpectedEOF) holds.
	ErrNoCloseNotify = fmt.Errorf("transport: TLS stream ended without close_notify: %w",
		io.ErrUnexpectedEOF)

	// ErrNoHalfClose: WriteEOF on a transport whose CanWriteEOF is false.
	// errors.Is(ErrNoHalfClose, errors.ErrUnsupported) holds.
	ErrNoHalfClose = fmt.Errorf("transport: WriteEOF on a transport without half-close: %w",
		errors.ErrUnsupported)
)

// TruncatedError is passed to ErrorReceived in place of DatagramReceived when a
// datagram was longer than the receive buffer, so that its beginning is never
// mistaken for the whole. It is passed to ConnectionLost instead if the message
// belonged to a connection: a Unix socket's with Network "unixpacket".
// errors.Is(err, ErrTruncated) holds.
type TruncatedError struct {
	// Data is the part that fit. It belongs to the loop and is valid until
	// ErrorReceived returns; in an error passed to ConnectionLost it is a copy.
	Data []byte

	// Addr is the sender.
	Addr Addr

	// Size is the length of the whole datagram, in bytes.
	Size int
}

// Error says how many bytes were kept, of how many, and from which sender.
func (e *TruncatedError) Error() string {
	return fmt.Sprintf("%v to %d bytes of %d, from %v", ErrTruncated, len(e.Data), e.Size, e.Addr)
}

// Unwrap returns ErrTruncated.
func (e *TruncatedError) Unwrap() error { return ErrTruncated }

// ICMPError is the network's answer to a datagram. Endpoints that read the kernel's
// error queue (DatagramOptions.RecvErr) pass it to ErrorReceived, inside a
// *net.OpError whose Addr is the datagram's destination. errors.Is finds the errno:
// ECONNREFUSED, EHOSTUNREACH, EMSGSIZE …
type ICMPError struct {
	// Offender is the host that answered: the destination itself, or a router on
	// the way. It is invalid if the kernel does not know.
	Offender netip.Addr

	// Type and Code are those of the ICMP message, or of the ICMPv6 message if V6
	// is set.
	Type, Code uint8
	V6         bool

	// Info is the path MTU if the message says that the datagram exceeded it,
	// otherwise 0.
	Info uint32

	// Err is an *os.SyscallError.
	Err error
}

// Error names the cause, the ICMP message and the host that sent it.
func (e *ICMPError) Error() string {
	return fmt.Sprintf("%v (ICMP type %d code %d from %v)", e.Err, e.Type, e.Code, e.Offender)
}

// Unwrap returns Err.
func (e *ICMPError) Unwrap() error { return e.Err }
