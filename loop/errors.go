package loop

import (
	"errors"
	"fmt"

	"github.com/sluice-net/sluice/loop/internal/opener"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/registry"
	"github.com/sluice-net/sluice/loop/internal/resolve"
	"github.com/sluice-net/sluice/loop/internal/tlsio"
)

// The errors of the loop.
var (
	// ErrLoopClosed: the loop was closed.
	ErrLoopClosed = registry.ErrLoopClosed

	// ErrLoopRunning: the loop is already running, or Close was called while it was
	// running.
	ErrLoopRunning = errors.New("loop: already running")

	// ErrLoopStopped: Stop was called before the function given to
	// RunUntilComplete had returned.
	ErrLoopStopped = errors.New("loop: stopped before the function returned")

	// ErrOnLoop: a method that blocks was called on the loop's goroutine, which it would
	// block forever. Use its twin, whose name ends in Func.
	ErrOnLoop = errors.New("loop: blocking call on the loop's goroutine; use the Func twin")

	// ErrGoexit: a callback ended the loop's goroutine with runtime.Goexit, as testing's
	// FailNow does. That closes the loop.
	ErrGoexit = errors.New("loop: a callback called runtime.Goexit")

	// ErrServerClosed: the server was closed.
	ErrServerClosed = errors.New("loop: server closed")

	// ErrServing: ServeForever was called while another call to it was serving.
	ErrServing = errors.New("loop: server is already being served")

	// ErrBadSignal: there is no such signal, or it cannot be caught.
	ErrBadSignal = errors.New("loop: bad signal")

	// ErrFdInUse: the descriptor belongs to a transport.
	ErrFdInUse = errors.New("loop: descriptor is used by a transport")

	// ErrNoAddress: a name resolved to nothing, or no address of the wanted
	// family was left.
	ErrNoAddress = resolve.ErrNoAddress

	// ErrNotStream: the descriptor is not a stream socket.
	ErrNotStream = opener.ErrNotStream

	// ErrNotDatagram: the descriptor is not a datagram socket.
	ErrNotDatagram = opener.ErrNotDatagram

	// ErrNotRegular: the file is not a regular one.
	ErrNotRegular = errors.New("loop: not a regular file")

	// ErrBadRange: a negative offset or count.
	ErrBadRange = errors.New("loop: negative offset or count")

	// ErrBadOption: a number in the options is out of its range. The error that wraps
	// it says which, and what the range is.
	ErrBadOption = errors.New("loop: bad option")

	// ErrOtherLoop: the transport belongs to another loop.
	ErrOtherLoop = errors.New("loop: transport of another loop")

	// ErrRelayed: the transport is being relayed.
	ErrRelayed = errors.New("loop: transport is being relayed")

	// ErrRelayLimit: a relay was sent more than RelayOptions.MaxBytes.
	ErrRelayLimit = errors.New("loop: relay has passed on as much as it may")

	// ErrTLSBelow: StartTLS, Sendfile or Relay was called with a transport that already has a
	// TLS transport on top of it.
	ErrTLSBelow = errors.New("loop: transport has TLS on top of it: use that transport")

	// ErrNotSeqPacket: the socket does not preserve message boundaries, as the Network
	// "unixpacket" requires.
	ErrNotSeqPacket = opener.ErrNotSeqPacket

	// ErrPacketsTLS: TLS was asked for on a "unixpacket" socket, which carries messages;
	// TLS needs a stream. errors.Is(err, errors.ErrUnsupported) holds.
	ErrPacketsTLS = fmt.Errorf("loop: TLS on a socket of messages: %w", errors.ErrUnsupported)

	// ErrNoTLSConfig: TLSOptions has no Config.
	ErrNoTLSConfig = tlsio.ErrNoConfig

	// ErrNoCertificate: a server's tls.Config has no certificate and no function
	// that returns one.
	ErrNoCertificate = tlsio.ErrNoCertificate

	// ErrNoServerName: a client's tls.Config names no server and does not set
	// InsecureSkipVerify.
	ErrNoServerName = tlsio.ErrNoServerName

	// ErrRenegotiation: a tls.Config asks for renegotiation of TLS 1.2, which is not
	// supported.
	ErrRenegotiation = tlsio.ErrRenegotiation

	// ErrTLSTimeout: one of the timeouts of TLSOptions is negative.
	ErrTLSTimeout = tlsio.ErrTimeout

	// ErrNotPipe: the file is neither a pipe or FIFO, nor a socket, nor a character
	// device.
	ErrNotPipe = proactor.ErrNotPipe

	// ErrNotSupported is errors.ErrUnsupported. If the kernel lacks a feature, the error
	// that wraps it gives the feature's name, the kernel version that has it, and the
	// remedy.
	ErrNotSupported = errors.ErrUnsupported
)
