package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
)

// The errors of transports. Errors of the kernel are *net.OpError values that
// wrap an os.SyscallError, so errors.Is finds the errno.
var (
	// ErrClosed: the transport is closing or closed. errors.Is(ErrClosed,
	// net.ErrClosed) holds.
	ErrClosed = fmt.Errorf("transport: %w", net.ErrClosed)

	// ErrEOFWritten: a write after WriteEOF.
	ErrEOFWritten = errors.New("transport: write after WriteEOF")

	// ErrReadOnly: a write to the reading end of a pipe. ConnectionMade is given a
	// Transport in any case; Loop.ConnectReadPipe returns a ReadTransport.
	ErrReadOnly = errors.New("transport: write to the reading end of a pipe")

	// ErrNilProtocol: SetProtocol(nil), or a factory that returned nil.
	ErrNilProtocol = errors.New("transport: protocol is nil")

	// ErrProtocolKind: the protocol lacks the callbacks of this transport's
	// kind, for example a datagram protocol on a stream.
	ErrProtocolKind = errors.New("transport: protocol is of the wrong kind")

	// ErrNoDestination: SendTo without an address on an endpoint without a peer.
	ErrNoDestination = errors.New("transport: datagram without destination")

	// ErrAddrMismatch: SendTo to somebody else than the peer of an endpoint that
	// has one.
	ErrAddrMismatch = errors.New("transport: datagram endpoint has another peer")

	// ErrNotUnix: the socket is not a Unix socket, or the transport, which is to pass
	// descriptors, not one over a Unix stream socket.
	ErrNotUnix = errors.New("transport: not a Unix socket")

	// ErrTruncated: a datagram was longer than the receive buffer. It comes
	// wrapped in a *TruncatedError.
	ErrTruncated = errors.New("transport: datagram truncated")

	// ErrBadLimits: water marks that are not 0 <= Low <= High.
	ErrBadLimits = errors.New("transport: write buffer limits must be 0 <= Low <= High")

	// ErrBufferFull: the write would exceed the hard limit on buffered bytes
	// that was set for this transport.
	ErrBufferFull = errors.New("transport: write buffer is full")

	// ErrCloseTimeout is passed to ConnectionLost when the output was not
	// flushed within the time allowed for closing.
	ErrCloseTimeout = errors.New("transport: close timed out with output unsent")

	// ErrIdleTimeout is passed to ConnectionLost when nothing was received or
	// sent for the time allowed.
	ErrIdleTimeout = errors.New("transport: connection was idle for too long")

	// ErrHandshakeTimeout: the TLS handshake took longer than it was allowed to.
	ErrHandshakeTimeout = errors.New("transport: TLS handshake timed out")

	// ErrShutdownTimeout is passed to ConnectionLost when the peer has not
	// answered close_notify within the time that was asked for. All output was
	// sent before.
	ErrShutdownTimeout = errors.New("transport: peer has not answered TLS close_notify in time")

	// ErrNoCloseNotify is passed to ConnectionLost when the peer's stream ended
	// within a TLS record, or without close_notify where that is required: data
	// may be missing. errors.Is(ErrNoCloseNotify, io.ErrUnexpectedEOF) holds.
	ErrNoCloseNotify = fmt.Errorf("transport: TLS stream ended without close_notify: %w",
		io.ErrUnexpectedEOF)

	// ErrNoHalfClose: WriteEOF on a transport whose CanWriteEOF is false.
	// errors.Is(ErrNoHalfClose, errors.ErrUnsupported) holds.
	ErrNoHalfClose = fmt.Errorf("transport: WriteEOF on a transport without half-close: %w",
		errors.ErrUnsupported)
)

// TruncatedError is passed to ErrorReceived in place of DatagramReceived when a
// datagram was longer than the receive buffer, so that nobody takes the beginning
// for the whole. ConnectionLost gets it where that was a message of a connection, a Unix
// socket's with Network "unixpacket". errors.Is(err, ErrTruncated) holds.
type TruncatedError struct {
	// Data is what there was room for. It is the loop's and valid until
	// ErrorReceived returns; in the error of ConnectionLost it is a copy.
	Data []byte

	// Addr is the sender.
	Addr Addr

	// Size is how long the datagram was, in bytes.
	Size int
}

// Error says how much was left of whose datagram.
func (e *TruncatedError) Error() string {
	return fmt.Sprintf("%v to %d bytes of %d, from %v", ErrTruncated, len(e.Data), e.Size, e.Addr)
}

// Unwrap returns ErrTruncated.
func (e *TruncatedError) Unwrap() error { return ErrTruncated }

// ICMPError is what the network answered to a datagram. It is passed to
// ErrorReceived, inside a *net.OpError whose Addr is where the datagram was to go,
// by endpoints that read the kernel's error queue (DatagramOptions.RecvErr).
// errors.Is finds the errno: ECONNREFUSED, EHOSTUNREACH, EMSGSIZE …
type ICMPError struct {
	// Offender is who answered: the destination itself, or a router on the way.
	// It is invalid where the kernel does not know.
	Offender netip.Addr

	// Type and Code are those of the ICMP message, or of the ICMPv6 message where
	// V6 is set.
	Type, Code uint8
	V6         bool

	// Info is the path's MTU where the message was that the datagram is too big
	// for it, else 0.
	Info uint32

	// Err is an *os.SyscallError.
	Err error
}

// Error says who answered what.
func (e *ICMPError) Error() string {
	return fmt.Sprintf("%v (ICMP type %d code %d from %v)", e.Err, e.Type, e.Code, e.Offender)
}

// Unwrap returns Err.
func (e *ICMPError) Unwrap() error { return e.Err }
