// Package proactor is the contract between the transports and the engines that
// carry out their operations: io_uring, epoll and the simulator.
//
// An operation is data: an Op embedded in its owner. It is handed over with Submit
// and comes back with Complete, which an engine calls only inside Wait. In between,
// its descriptor and its buffers belong to the engine.
package proactor

import (
	"syscall"

	"github.com/sluice-net/sluice/transport"
)

// Code says what an operation does.
type Code uint8

// The operations. Res is a count, a descriptor, 0, or a negated errno.
const (
	_ Code = iota // the zero value is no operation
	// Accept accepts connections on the listener FD until it is cancelled or fails:
	// each is a completion with More and the new descriptor in Res, which is
	// non-blocking if the engine needs that, and close-on-exec. Any error ends it,
	// ENFILE and EMFILE included; nothing is retried.
	Accept
	// Connect connects FD to Message.Addr.
	Connect
	// Recv receives once, into Buf, at least one byte unless the peer is done (Res
	// 0). Buf may lie in memory returned by Alloc.
	Recv
	// RecvAny receives into the engine's own buffers until it is cancelled, fails,
	// or the peer is done (Res 0, no More). Each completion with Res > 0 has More
	// and its bytes in Data, which is valid during Complete, and longer if the owner
	// sets Keep. The engine handles a lack of buffers by itself.
	RecvAny
	// RecvMsg receives datagrams as RecvAny receives bytes; Message.Addr is the sender.
	// Res may be 0 with More. Message.Truncated says that the datagram did not fit, Size
	// how long it was. If Coalesced is set, and FD has the option Coalesce, Data may be
	// several datagrams from one sender: see Segment.
	RecvMsg
	// Send sends all of Buf. Res is len(Buf), or an error, or, if it was cancelled
	// midway, the number of bytes that were sent. An error is reported however much
	// was sent before it, because the kernel reports it only once.
	Send
	// SendMsg sends all of Bufs in order as Send does, to Message.Addr unless that is zero.
	// The slice of slices and its elements belong to the engine until Complete. It
	// takes at most IOVMax slices. On a Unix datagram socket it must not have to
	// wait for room: the kernel copies the bytes before it looks for room, and
	// io_uring's second attempt is then an empty datagram (seen on 6.18).
	// TrySendMany and Poll are used there instead.
	SendMsg
	// Poll watches FD for Mask (POLLIN, POLLOUT, …) until it is cancelled; each
	// completion has More and the events in Res. It is level-triggered: it
	// completes once per Wait for as long as the condition holds. If Once is set,
	// the first completion is the last one, without More.
	Poll
	// Waitid waits until the child behind the pidfd FD has exited. It does not
	// reap.
	Waitid
)

var codeNames = [...]string{"none", "accept", "connect", "recv", "recvany", "recvmsg",
	"send", "sendmsg", "poll", "waitid"}

// String returns the name of the code, as used in traces.
func (c Code) String() string { return codeNames[c] }

// IOVMax is the largest number of slices in one SendMsg (Linux: UIO_MAXIOV).
const IOVMax = 1024

// opState is the state of an operation.
//
//	idle --Submit--> inflight --Complete(!More)--> idle
//	                 inflight --Complete(More)--> inflight
//	                 inflight --Cancel--> cancelling --Complete--> idle | cancelling
type opState uint8

const (
	idle opState = iota
	inflight
	cancelling
)

// Op is one operation. It is embedded in its owner and reused, for one thing at a
// time. The zero value is idle. While it is in flight its owner must not touch it,
// but may call InFlight.
//
// Lazy says that a success in the Wait that took the submission need not end that
// Wait: an engine may hold the completion back until something else happens, but
// delivers it before any completion that happened later. An operation that is not
// done at once is no longer lazy: its owner may have begun to wait for it. With
// io_uring such a send posts no CQE, which halves the system calls of a
// request-response exchange. Engines may ignore it.
//
// Once says that a send on a connected socket must not wait for room: if not all of
// it could be sent in one attempt, it completes with the number of bytes that were,
// or with EAGAIN if none were. Nobody uses its memory afterwards. A Poll with Once
// ends with its first completion.
//
// Keep says, when Complete returns, that the owner of a RecvAny keeps the buffer in
// which Data lies. It may do so if Keepable is set, and has to return the buffer with
// GiveBack.
type Op struct {
	// In: set before Submit.

	Code  Code
	Lazy  bool // Send, SendMsg: nobody waits for the completion, see above
	More  bool // out: the operation is still in flight
	state opState

	Res      int32    // out: the result, or a negated errno
	FD       int      // the descriptor
	Mask     uint16   // Poll: the events
	Buffer   uint16   // out, RecvAny: the number of the buffer, for GiveBack
	Keepable bool     // out, RecvAny: there are buffers enough for the owner to keep this one
	Keep     bool     // RecvAny, set during Complete: the owner keeps the buffer, see above
	Once     bool     // Poll: it ends with its first completion. Sends: see above
	Buf      []byte   // Recv: the destination. Send: the source
	Bufs     [][]byte // SendMsg: the sources
	Message  *Message // what operations with an address have besides
	Handler  Handler  // receives completions

	// Out: valid during Complete, as are Res and More.

	Data []byte // RecvAny, RecvMsg: what was received

	// Engine belongs to the engine; nobody else looks at it.
	Engine EngineState
}

// Message is what an operation has besides if an address or the bounds of messages belong to
// it. Connect and RecvMsg need one, SendMsg has one if the message goes to somebody else than
// the connected peer. Streams, of which there are many, have none.
type Message struct {
	Addr      transport.Addr // Connect, SendMsg: the destination. RecvMsg, out: the sender
	Coalesced bool           // RecvMsg: the owner splits coalesced datagrams; UDP only

	// Out: valid during Complete of a RecvMsg.

	Truncated bool // the datagram was longer than the buffer
	Uncut     bool // Data may be several datagrams, whose size is unknown
	Size      int  // length of the datagram; of several: of all of them
	Segment   int  // Data is datagrams of this many bytes, the last maybe fewer; or 0
}

// To returns where a SendMsg goes, the zero Addr for the connected peer.
func (op *Op) To() transport.Addr {
	if op.Message == nil {
		return transport.Addr{}
	}
	return op.Message.Addr
}

// EngineState is what an engine stores in an operation in flight.
type EngineState struct {
	Slot uint32 // index in the engine's slab, or whatever it needs
	Flag uint16 // the engine's flags
	Done int    // bytes done so far
	Next *Op    // link of the engine's lists
}

// Handler receives completions. It is implemented by the owner; the Op's address
// tells which of its operations completed.
type Handler interface {
	// Complete is called inside Wait. If op.More is false, op is idle again and may
	// be submitted from inside the call. Complete must not panic: code that calls
	// user code recovers there.
	Complete(op *Op)
}

// InFlight reports whether the engine owns the operation.
func (op *Op) InFlight() bool { return op.state != idle }

// Cancelling reports whether Cancel was called and the last completion is due.
func (op *Op) Cancelling() bool { return op.state == cancelling }

// Errno returns the errno of a failed completion, or 0 if it did not fail.
func (op *Op) Errno() syscall.Errno {
	if op.Res >= 0 {
		return 0
	}
	return syscall.Errno(-op.Res)
}

// Begin is called by an engine's Submit. It panics if continuing would corrupt a
// stream: if the operation is already in flight, has no code or no handler, or has
// no memory to work on.
func (op *Op) Begin() {
	if op.state != idle {
		panic("proactor: " + op.Code.String() + " submitted while in flight")
	}
	if op.Handler == nil {
		panic("proactor: " + op.Code.String() + " submitted without a handler")
	}
	switch op.Code {
	case 0:
		panic("proactor: an operation without a code submitted")
	case Recv, Send:
		if len(op.Buf) == 0 {
			panic("proactor: " + op.Code.String() + " of an empty buffer")
		}
	case Connect, RecvMsg:
		if op.Message == nil {
			panic("proactor: " + op.Code.String() + " submitted without a message")
		}
	case SendMsg:
		if len(op.Bufs) > IOVMax {
			panic("proactor: sendmsg of too many buffers")
		}
	}
	op.state = inflight
	op.Engine.Done = 0
}

// BeginCancel is called by an engine's Cancel. It reports whether there is
// anything to cancel: false for an operation that is idle or already cancelled.
func (op *Op) BeginCancel() bool {
	if op.state != inflight {
		return false
	}
	op.state = cancelling
	return true
}

// Deliver is called by an engine inside Wait: it sets the results, releases the
// operation unless more is to come, and calls its handler.
func (op *Op) Deliver(res int32, more bool, data []byte) {
	if op.state == idle {
		panic("proactor: " + op.Code.String() + " completed while idle")
	}
	op.Res, op.More, op.Data = res, more, data
	if !more {
		op.state = idle
	}
	op.Handler.Complete(op)
}
