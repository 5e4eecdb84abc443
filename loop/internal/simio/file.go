package simio

import (
	"net/netip"
	"slices"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// firstFD is the lowest descriptor: high, so that a real one is never meant.
// Like in Linux the lowest free one is taken, which shows uses after close.
const firstFD = 1000

// noFD is the descriptor of a file that only the kernel or a peer knows.
const noFD = -1

// kind is what a file is.
type kind uint8

const (
	streamSocket kind = iota
	packetSocket
	datagramSocket
	pipeEnd
	regularFile
	child
	eventFile
)

var kindNames = [...]string{"stream socket", "packet socket", "datagram socket", "pipe",
	"file", "child", "eventfd"}

// stage is where a file is in its life. Datagram sockets are fresh or
// connected, what is no socket is connected from the start.
//
//	fresh --Connect--> connecting --answered--> connected
//	                   connecting --refused, timed out--> fresh
//	fresh --Listen--> listening --StopListening--> fresh
//	any --close--> gone
type stage uint8

const (
	fresh stage = iota
	connecting
	connected
	listening
	gone
)

var stageNames = [...]string{"fresh", "connecting", "connected", "listening", "closed"}

// operation is what is in flight on a file: a flight of an engine, a task of a
// ring, or a watch of epoll.
type operation interface {
	progress()              // tries again where it waits for something
	title() string          // "recv"
	status() string         // where it is
	takesFrom(f *file) bool // whether it receives from f
	putsInto(f *file) bool  // whether it sends, or connects, on f
	connects() bool         // whether it is a connect
	outlives() bool         // whether its descriptor may be closed under it
}

// file is what a descriptor, or a peer, refers to.
type file struct {
	w      *World
	fd     int
	kind   kind
	family proactor.Family
	stage  stage
	cookie uint64 // no other file has it

	flights []operation // in flight, in the order of their submission
	touched bool        // in World.dirty

	local, remote transport.Addr
	options       [proactor.OptionCount]int
	err           Errno // pending, as SO_ERROR
	broken        bool  // the connection is over: reset or closed by the peer

	rx, tx *lane // connections and pipes

	backlog int     // listening
	queue   []*file // listening: not accepted yet
	packets []packet
	groups  []netip.Addr // multicast, joined
	senders []*file      // Unix datagrams: wait for room among the packets
	onWay   int          // UDP: bytes of datagrams sent that are still in a buffer
	errors  []proactor.QueuedError

	content []byte // regular file
	offset  int64  // regular file
	exited  bool   // child
	event   *eventfd

	noSpace  bool   // somebody has found no room to send, and waits
	spaces   int64  // times that there was room again
	comings  int64  // connections and datagrams that have come
	refusals int    // sends in a row that found no room, see Epoll.full
	transit  bool   // passed to another process, which has not taken it yet
	left     bool   // its descriptor is closed, operations still hold it
	child    *Child // child: of Spawner, else nil

	peer    *Peer
	service *Service
	packer  *PacketPeer

	trail      [16]entry
	trailCount int
}

func (w *World) newFile(k kind, family proactor.Family) *file {
	w.cookies++
	return &file{w: w, fd: noFD, kind: k, family: family, cookie: w.cookies}
}

// install gives f the lowest free descriptor, or fails with EMFILE.
func (w *World) install(f *file) Errno {
	slot, open := len(w.files), 0
	for i := len(w.files) - 1; i >= 0; i-- {
		if w.files[i] == nil {
			slot = i
		} else {
			open++
		}
	}
	if open >= w.limit {
		return syscall.EMFILE
	}
	if slot == len(w.files) {
		w.files = append(w.files, nil)
	}
	w.files[slot] = f
	f.fd = firstFD + slot
	return 0
}

// mustInstall is install for what tests ask for.
func (w *World) mustInstall(f *file) int {
	if errno := w.install(f); errno != 0 {
		panic("simio: no free descriptor: " + errno.Error())
	}
	return f.fd
}

// isConnection reports whether f is a socket that connects: of bytes, or of messages.
func (f *file) isConnection() bool { return f.kind == streamSocket || f.kind == packetSocket }

// remoteStream reports whether f is a TCP connection.
func (f *file) remoteStream() bool { return f.kind == streamSocket && f.family != proactor.Unix }

// touch has f looked at again in settle.
func (f *file) touch() {
	if !f.touched && f.stage != gone {
		f.touched = true
		f.w.dirty = append(f.w.dirty, f)
	}
}

// progress carries on with whatever f's state allows by now.
func (f *file) progress() {
	switch {
	case f.stage == gone:
	case f.peer != nil:
		f.peer.pump()
	case f.service != nil:
		f.service.pump()
	case f.packer != nil:
		f.packer.pump()
	default:
		f.progressFlights()
	}
}

// progressFlights lets each operation of f try again. One that ends drops out
// of the list only when it is delivered.
func (f *file) progressFlights() {
	f.makeRoom()
	for _, op := range slices.Clone(f.flights) {
		op.progress()
	}
}

// close is close(2) of the last reference.
func (f *file) close() {
	if f.stage == gone {
		return
	}
	before := f.stage
	f.stage = gone
	f.unbind()
	f.dropQueue()
	f.packets, f.errors = nil, nil
	f.wakeSenders()
	if before == connected && (f.rx != nil || f.tx != nil) {
		f.closeLanes()
	}
	if f.rx != nil {
		f.rx.dropPassages(true)
	}
	if f.fd != noFD {
		f.w.files[f.fd-firstFD] = nil
		f.w.closed[f.fd] = f
	}
}

// dropQueue resets the connections that nobody accepted.
func (f *file) dropQueue() {
	for _, waiting := range f.queue {
		waiting.sendReset()
		waiting.close()
	}
	f.queue = nil
}

// surrender gives the descriptor back and leaves the file to whom it was passed.
func (f *file) surrender() {
	f.w.files[f.fd-firstFD] = nil
	f.w.closed[f.fd] = f
	f.fd = noFD
}

// leave gives the descriptor back and leaves the file to what is in flight on it, as
// close(2) does: it is closed when the last operation ends.
func (f *file) leave() {
	f.surrender()
	f.left = true
}

// takeError returns the pending error and forgets it.
func (f *file) takeError() Errno {
	errno := f.err
	f.err = 0
	return errno
}
