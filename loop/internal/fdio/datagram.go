package fdio

import (
	"fmt"
	"net"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Datagram is a transport over a datagram socket. Its states are those of a
// Stream, with the difference that neither an error of the kernel nor a panic in
// a callback ends it, save for one in ConnectionMade:
//
//	made --Start--> open --Close--> closing --drained--> lost --idle--> closed
//	                open --Abort-----------------------> lost
//	                                closing --Abort----> lost
//
// It owns its descriptor: no operation is in flight on it when it is closed.
type Datagram struct {
	guard  guard.Guard
	host   Host
	engine proactor.Proactor
	lost   func()
	fd     int
	state  State
	err    error // why it was lost
	pub    published
	proto  protocol.DatagramProtocol

	recv        proactor.Op
	paused      bool
	held        []heldPacket // came while paused, not yet delivered
	recvBackoff Timer        // until it receives again, after a lack of memory

	send        proactor.Op
	out         packets
	flow        transport.FlowControl
	writable    proactor.Op // waits for room at a Unix peer, or for that of a group
	told        bool        // there was an event of that, and nothing was sent since
	sendBackoff Timer       // until it sends again, where the kernel has no event for it
	backoffMS   int         // how long that was last
	pumping     bool        // is handing output to the kernel
	awaited     bool        // somebody waits for the lazy send in flight
	dirty       bool        // on the host's list of flushers
	soon        bool        // on the host's list of tasks

	doubt    int           // the size of datagrams that were refused as a group; or 0
	doubtErr syscall.Errno // and how
	recvErr  bool          // the network's answers are in the socket's error queue
	writeCap int           // the most that is buffered; 0: no limit

	unix        bool
	connected   bool           // the kernel knows the peer
	remote      transport.Addr // the peer, or the destination of what has none
	local, peer net.Addr
}

// DatagramConfig is what an endpoint is made of.
type DatagramConfig struct {
	FD          int // bound, or connected, or neither
	Unix        bool
	Protocol    protocol.DatagramProtocol
	Connected   bool           // the kernel receives from the peer alone
	Remote      transport.Addr // the peer, or where datagrams without address go
	Local, Peer net.Addr
	Group       bool   // the kernel takes datagrams in groups: option Segmentation
	Coalesced   bool   // and gives them in groups: option Coalesce
	RecvErr     bool   // it keeps errors in a queue: option RecvErr
	WriteCap    int    // the most that is buffered; 0: no limit
	Lost        func() // is called after ConnectionLost
}

// NewDatagram makes an endpoint of a descriptor, which it owns from now on.
func NewDatagram(host Host, c DatagramConfig) *Datagram {
	d := &Datagram{host: host, engine: host.Engine(), lost: c.Lost,
		fd: c.FD, proto: c.Protocol, unix: c.Unix, connected: c.Connected, remote: c.Remote,
		local: c.Local, peer: c.Peer, recvErr: c.RecvErr, writeCap: c.WriteCap}
	d.guard.Init(host, d)
	d.guard.Set(c.Protocol)
	if c.Group {
		d.out.segmentMax = proactor.SegmentedMax
	}
	d.recv.Coalesced = c.Coalesced
	d.recv.Code, d.recv.FD, d.recv.Handler = proactor.RecvMsg, c.FD, d
	d.send.Code, d.send.FD, d.send.Handler = proactor.SendMsg, c.FD, d
	d.writable.Code, d.writable.FD, d.writable.Handler = proactor.Poll, c.FD, d
	d.writable.Mask = pollOut
	d.pub = publish(host, c.FD, c.Local, d.flow.Limits())
	return d
}

// Start calls ConnectionMade and begins to receive.
func (d *Datagram) Start() {
	d.move(Open)
	d.connectionMade()
	d.arm()
}

// move makes a transition and asserts that the automaton has it.
func (d *Datagram) move(to State) {
	debug.Assert(to > d.state, "datagram states only go forward")
	d.state = to
	d.pub.moved(to)
}

// Close implements transport.BaseTransport.
func (d *Datagram) Close() error {
	d.host.Check()
	if d.state > Open {
		return nil
	}
	d.move(Closing)
	d.engine.Cancel(&d.recv)
	d.held = nil
	d.publishHeld()
	if d.out.count() == 0 {
		d.fail(nil)
	}
	d.awaitSend()
	return nil
}

// Abort implements transport.DatagramTransport.
func (d *Datagram) Abort() {
	d.host.Check()
	d.fail(nil)
}

// Fail ends the endpoint: output is dropped and ConnectionLost(err) follows.
func (d *Datagram) Fail(err error) { d.fail(err) }

// fail drops the output and cancels what is in flight. The first reason wins.
func (d *Datagram) fail(err error) {
	if d.state >= Lost {
		return
	}
	d.move(Lost)
	d.err = err
	d.stopTimers()
	d.out.drop()
	d.held = nil
	d.engine.Cancel(&d.recv)
	d.engine.Cancel(&d.send)
	d.engine.Cancel(&d.writable)
	d.schedule()
}

func (d *Datagram) stopTimers() {
	for _, t := range []Timer{d.recvBackoff, d.sendBackoff} {
		if t != nil {
			t.Cancel()
		}
	}
}

// schedule has RunTask called in the next round.
func (d *Datagram) schedule() {
	if !d.soon {
		d.soon = true
		d.host.Soon(d)
	}
}

// RunTask does what must not be done from inside a user's call, or what one round
// was too short for.
func (d *Datagram) RunTask() {
	d.soon = false
	if d.state < Lost && d.flow.Shrank(0) == transport.Resume {
		d.resumeWriting()
	}
	if d.state == Lost {
		d.finish()
		return
	}
	d.deliverHeld()
	d.Flush()
}

// finish ends a lost endpoint once nothing is in flight on its descriptor.
func (d *Datagram) finish() {
	if d.state != Lost || d.recv.InFlight() || d.send.InFlight() || d.writable.InFlight() {
		return
	}
	d.move(Closed)
	defer d.release()
	d.guard.ConnectionLost(d.err)
}

// release closes the descriptor after ConnectionLost and forgets the protocol.
func (d *Datagram) release() {
	d.proto = nil
	d.guard.Forget()
	d.send.Bufs = nil
	if err := d.engine.CloseFD(d.fd); err != nil {
		d.host.Report(Exception{Message: "Error closing a socket", Err: err, Transport: d})
	}
	d.lost()
}

// Complete implements proactor.Handler.
func (d *Datagram) Complete(op *proactor.Op) {
	switch op {
	case &d.recv:
		d.received()
	case &d.send:
		d.sent()
	default:
		d.onWritable()
	}
	if !d.soon {
		d.finish()
	}
}

// State is where the endpoint is in its life.
func (d *Datagram) State() State { return d.state }

// Err is why the endpoint was lost: what ConnectionLost gets.
func (d *Datagram) Err() error { return d.err }

// FD is the descriptor. It is not the endpoint's any more once that is closed.
func (d *Datagram) FD() int { return d.fd }

// IsClosing implements transport.BaseTransport.
func (d *Datagram) IsClosing() bool { return d.state > Open }

// Protocol implements transport.BaseTransport.
func (d *Datagram) Protocol() transport.BaseProtocol {
	if d.proto == nil {
		return nil
	}
	return d.proto
}

// SetProtocol implements transport.BaseTransport.
func (d *Datagram) SetProtocol(p transport.BaseProtocol) error {
	d.host.Check()
	if p == nil {
		return transport.ErrNilProtocol
	}
	proto, ok := p.(protocol.DatagramProtocol)
	if !ok {
		return transport.ErrProtocolKind
	}
	if d.state == Closed {
		return transport.ErrClosed
	}
	d.proto = proto
	d.guard.Set(proto)
	return nil
}

// ExtraInfo implements transport.BaseTransport.
func (d *Datagram) ExtraInfo(name string) any {
	switch name {
	case "peername":
		if d.peer != nil {
			return d.peer
		}
	case "sockname":
		if d.local != nil {
			return d.local
		}
	case "socket":
		if d.proto != nil { // until ConnectionLost has returned
			return rawConn{d}
		}
	}
	return nil
}

// String describes the endpoint as asyncio's repr does.
func (d *Datagram) String() string {
	read, write := "idle", "idle"
	if d.IsReading() {
		read = "polling"
	}
	if d.flow.Size() > 0 {
		write = "polling"
	}
	return fmt.Sprintf("<Datagram %s fd=%d read=%s write=<%s, bufsize=%d>>",
		d.state, d.fd, read, write, d.flow.Size())
}
