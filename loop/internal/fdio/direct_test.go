package fdio

import (
	"net"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
)

// outRig is a host and an engine for the output of one stream: a kernel that takes
// room bytes, and operations that the test completes.
type outRig struct {
	acceptRig
	chunks ChunkPool
	tasks  []Task
	dirty  []Flusher
	room   int
	taken  []byte
}

func (r *outRig) Engine() proactor.Proactor { return r }
func (r *outRig) Soon(t Task)               { r.tasks = append(r.tasks, t) }
func (r *outRig) Dirty(f Flusher)           { r.dirty = append(r.dirty, f) }
func (r *outRig) Chunks() *ChunkPool        { return &r.chunks }
func (r *outRig) Submit(op *proactor.Op)    { op.Begin() }

func (r *outRig) Cached(proactor.File, int64, int) bool { return true }

// take takes what there is room for.
func (r *outRig) take(b []byte) int {
	n := min(len(b), r.room)
	r.room -= n
	r.taken = append(r.taken, b[:n]...)
	return n
}

func (r *outRig) TrySend(_ int, bufs [][]byte) (n int, err error) {
	for _, b := range bufs {
		n += r.take(b)
	}
	return n, nil
}

func (r *outRig) TrySendfile(_ int, from proactor.File, offset int64, n int) (int, error) {
	b := make([]byte, n)
	k, err := from.ReadAt(b, offset)
	if k == 0 {
		return 0, err
	}
	return r.take(b[:k]), nil
}

func (r *outRig) TrySendFDs(_ int, data []byte, _ []int) (int, error) { return r.take(data), nil }

// flush is the end of a round.
func (r *outRig) flush() {
	for _, f := range r.dirty {
		f.Flush()
	}
	r.dirty = nil
}

// silent is a protocol that does nothing.
type silent struct{ protocol.Base }

func (silent) DataReceived([]byte) {}

// content is a file of one repeated byte.
type content byte

func (c content) ReadAt(p []byte, _ int64) (int, error) {
	for i := range p {
		p[i] = byte(c)
	}
	return len(p), nil
}

func (r *outRig) file(c byte, n int64) *File {
	return &File{From: proactor.File{ReaderAt: content(c)}, Left: n, Done: func(int64, error) {}}
}

// The watch for room may outlast what it was for, by a round's budget: then an
// operation carries what is next, and room is no reason to send that a second time.
func TestRoomWhileASendIsInFlightSendsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	r := &outRig{acceptRig: acceptRig{t: t}, room: 1000}
	s := NewStream(r, Config{FD: 3, Protocol: protocol.Protocol(silent{}),
		Local: &net.UnixAddr{Net: "unix"}, Peer: &net.UnixAddr{Net: "unix"}})
	s.Start()
	if err := s.SendFile(r.file('f', 1000+directMax)); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if _, err := s.Write([]byte(text)); err != nil {
			t.Error(err)
		}
	}
	write("tail")
	r.flush()
	if !s.watchesWritable() {
		t.Fatal("no watch for room after a short sendfile")
	}
	r.room = directMax // the rest of the file is exactly the budget
	s.writableWatch.op.Deliver(pollOut, true, nil)
	write("!")
	r.flush()
	if !s.send.InFlight() {
		t.Fatal("no operation carries the tail")
	}
	if err := s.SendFile(r.file('g', 5)); err != nil {
		t.Fatal(err)
	}
	r.room, r.taken = 1000, nil
	if s.watchesWritable() && !s.writableWatch.op.Cancelling() {
		s.writableWatch.op.Deliver(pollOut, true, nil)
	}
	if len(r.taken) > 0 {
		t.Fatalf("%q was sent with a send in flight", r.taken)
	}
	s.writableWatch.op.Deliver(-int32(syscall.ECANCELED), false, nil)
	s.send.Deliver(5, false, nil)
	r.flush()
	if string(r.taken) != "ggggg" {
		t.Errorf("sent %q after the tail", r.taken)
	}
}
