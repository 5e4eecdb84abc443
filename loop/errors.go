package loop

import (
	"errors"
	"fmt"

	"github.com/sluice-net/sluice/loop/internal/opener"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/registry"
	"github.com/sluice-net/sluice/loop/internal/resolve"
)

// The errors of the loop.
var (
	// ErrLoopClosed: the loop was closed.
	ErrLoopClosed = registry.ErrLoopClosed

	// ErrLoopRunning: the loop runs already, or Close was called while it runs.
	ErrLoopRunning = errors.New("loop: already running")

	// ErrLoopStopped: Stop was called before the function given to
	// RunUntilComplete had returned.
	ErrLoopStopped = errors.New("loop: stopped before the function returned")

	// ErrOnLoop: a method that blocks was called on the loop's goroutine, which
	// it would block for ever. Use its twin, whose name ends in Func.
	ErrOnLoop = errors.New("loop: blocking call on the loop's goroutine; use the Func twin")

	// ErrGoexit: a callback ended the loop's goroutine with runtime.Goexit
	// (testing's FailNow does that). The loop is closed by it.
	ErrGoexit = errors.New("loop: a callback called runtime.Goexit")

	// ErrServerClosed: the server was closed.
	ErrServerClosed = errors.New("loop: server closed")

	// ErrServing: ServeForever was called while another call of it serves.
	ErrServing = errors.New("loop: server is already being served")

	// ErrBadSignal: there is no such signal, or it cannot be caught.
	ErrBadSignal = errors.New("loop: bad signal")

	// ErrFdInUse: the descriptor belongs to a transport.
	ErrFdInUse = errors.New("loop: descriptor is used by a transport")

	// ErrNoAddress: a name resolved to nothing, or no address of the wanted
	// family was left.
	ErrNoAddress = resolve.ErrNoAddress

	// ErrNotStream: the descriptor is not a stream socket.
	ErrNotStream = errors.New("loop: not a stream socket")

	// ErrNotUnix: the descriptor is not a Unix socket.
	ErrNotUnix = errors.New("loop: not a Unix socket")

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

	// ErrTLSBelow: StartTLS on, or Sendfile to, a transport that a TLS transport lies
	// over already.
	ErrTLSBelow = errors.New("loop: transport has TLS on top of it: use that transport")

	// ErrNotSeqPacket: the socket does not keep the bounds of messages, as the
	// Network "unixpacket" has it.
	ErrNotSeqPacket = errors.New("loop: not a Unix SOCK_SEQPACKET socket")

	// ErrPacketsTLS: TLS on a Unix socket of messages, "unixpacket", where it cannot
	// be: its records are a stream. errors.Is(err, errors.ErrUnsupported) holds.
	ErrPacketsTLS = fmt.Errorf("loop: TLS on a socket of messages: %w", errors.ErrUnsupported)

	// ErrNotPipe: the file is neither a pipe or FIFO, nor a socket, nor a character
	// device.
	ErrNotPipe = proactor.ErrNotPipe

	// ErrNotSupported is wrapped with the feature's name, the kernel version
	// that has it, and the remedy.
	ErrNotSupported = proactor.ErrNotSupported
)
