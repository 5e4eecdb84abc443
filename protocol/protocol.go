package protocol

import (
	"os"

	"github.com/sluice-net/sluice/transport"
)

// Protocol receives a stream as slices that belong to the loop.
//
//	start -> ConnectionMade [-> DataReceived]* [-> EOFReceived]? -> ConnectionLost -> end
type Protocol interface {
	// ConnectionLost, PauseWriting and ResumeWriting.
	transport.BaseProtocol

	// ConnectionMade is called once, before every other callback. Reading starts
	// after it has returned, unless it paused reading.
	ConnectionMade(t transport.Transport)

	// DataReceived is called with bytes in the order in which the peer sent them;
	// the boundary between one call and the next has no meaning. data is never
	// empty. It belongs to the loop and is valid until DataReceived returns: copy
	// anything that must be kept. The protocol may modify it during the call, except
	// for what it has already written from it: that may be sent without a copy.
	DataReceived(data []byte)

	// EOFReceived is called at most once, when the peer will send no more; no data
	// follows. If it returns false, the transport closes as if by Close. If it
	// returns true, the write side stays open until the protocol calls Close.
	EOFReceived() (keepOpen bool)
}

// BufferedProtocol receives a stream into memory of its own. Wrap it with
// Buffered to hand it to the loop.
//
//	start -> ConnectionMade [-> GetBuffer [-> BufferUpdated]?]* [-> EOFReceived]?
//	      -> ConnectionLost -> end
type BufferedProtocol interface {
	// ConnectionLost, PauseWriting and ResumeWriting.
	transport.BaseProtocol

	// ConnectionMade is as in Protocol.
	ConnectionMade(t transport.Transport)

	// GetBuffer returns the memory for the next receive. sizeHint is a recommended
	// minimum, or -1 if any size will do; a smaller or larger buffer is fine, but
	// an empty one is an error that ends the connection (ErrEmptyBuffer).
	//
	// The slice is lent to the kernel until the next BufferUpdated or
	// ConnectionLost: do not read, write, reuse or free it before then. A slice
	// from Loop.AllocBuffer is received into as registered memory.
	GetBuffer(sizeHint int) []byte

	// BufferUpdated reports that the first n bytes of the slice last returned by
	// GetBuffer were filled, 0 < n <= len. A GetBuffer need not be followed by it:
	// for example at EOF, on an error, or when the transport closes.
	BufferUpdated(n int)

	// EOFReceived is as in Protocol. Neither GetBuffer nor BufferUpdated is
	// called afterwards.
	EOFReceived() (keepOpen bool)
}

// FDReceiver is an optional interface of a Protocol or BufferedProtocol, for
// receiving the descriptors that the peer of a Unix stream socket passes. Streams
// of other protocols receive faster, and the kernel closes any descriptors passed
// to them. The transport checks for FDReceiver at ConnectionMade and at
// SetProtocol.
type FDReceiver interface {
	// FDsReceived is called with the files that came with received bytes, before
	// those bytes are delivered: no later than the first byte with which the peer
	// wrote them. The files are close-on-exec and belong to the protocol, which
	// must close them, even if it panics. lost reports that the peer sent more
	// files than this process could accept (EMFILE); the excess was closed.
	FDsReceived(files []*os.File, lost bool)
}

// DatagramProtocol receives datagrams.
//
//	start -> ConnectionMade [-> DatagramReceived | ErrorReceived]* -> ConnectionLost -> end
type DatagramProtocol interface {
	// ConnectionLost, PauseWriting and ResumeWriting.
	transport.BaseProtocol

	// ConnectionMade is called once, before every other callback.
	ConnectionMade(t transport.DatagramTransport)

	// DatagramReceived is called with one datagram, which may be empty, and its
	// sender: the zero Addr for a Unix socket without a name. data belongs to the
	// loop and is valid until the call returns. A panic is reported, and the
	// endpoint continues.
	DatagramReceived(data []byte, addr transport.Addr)

	// ErrorReceived is called when a send or receive failed in a way that leaves
	// the endpoint usable: with an *net.OpError that wraps ECONNREFUSED, EMSGSIZE
	// …, and has the destination as its Addr if that is known; or with a
	// *transport.TruncatedError in place of a datagram that was too long for the
	// receive buffer. It is never called from inside SendTo. A panic is reported,
	// and the endpoint continues.
	ErrorReceived(err error)
}

// SubprocessProtocol watches a child process.
//
//	start -> ConnectionMade [-> PipeDataReceived | PipeConnectionLost | ProcessExited]*
//	      -> ConnectionLost -> end
//
// ProcessExited and PipeConnectionLost come in any order; ConnectionLost comes
// after all of them.
type SubprocessProtocol interface {
	// ConnectionLost, PauseWriting and ResumeWriting (of the child's stdin).
	transport.BaseProtocol

	// ConnectionMade is called once, when the child is running and its pipes are
	// connected.
	ConnectionMade(t transport.SubprocessTransport)

	// PipeDataReceived is called with data that the child wrote to descriptor fd, 1 or
	// 2. data is never empty. It belongs to the loop and is valid until the call
	// returns.
	PipeDataReceived(fd int, data []byte)

	// PipeConnectionLost is called once for each pipe, when that pipe is closed. err is
	// nil, or wraps EPIPE for a standard input that was not sent completely, or is the
	// error that ended the pipe.
	PipeConnectionLost(fd int, err error)

	// ProcessExited is called once, when the child has exited.
	ProcessExited()
}

// Factory returns the protocol for a new connection. It is called on the loop's
// goroutine.
type Factory func() Protocol
