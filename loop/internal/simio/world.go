// Package simio is a simulated kernel and the engine on top of it: sockets,
// pipes, datagrams, children and scripted peers in plain memory, in virtual
// time, from a seed. The same seed and the same calls give the same history.
//
// It is stricter than Linux: what a kernel would tolerate, or punish by quietly
// spoiling a stream, is a panic here that says what was done and what had
// happened to the descriptor before. Faults make it as unkind as a kernel may
// be without breaking its word.
package simio

import (
	"cmp"
	"sync"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// Options says what a simulation is made with. The zero value is a world
// without faults.
type Options struct {
	Seed   uint64          // of every random choice
	Faults Faults          // none by default
	Config proactor.Config // of the engine that New makes

	// Idle is called before a Wait blocks in real time, because nothing will
	// ever happen in the simulation unless another goroutine does something: in
	// a test without other goroutines, a deadlock. It is called by the goroutine
	// in Wait and may use peers and Wake. Nil: not called.
	Idle func()

	// BufferMin and BufferMax bound the random sizes of sockets' and pipes'
	// buffers, in bytes; 0: 4 KiB and 512 KiB. A send buffer is never less than
	// half of the receive buffer that it feeds.
	BufferMin, BufferMax int

	// Loopback makes connections take no time and cut nothing short of 16 KiB:
	// what is sent in a turn can be received in the next one, in the order in
	// which it was sent. Otherwise each has a random latency, and one segment in
	// four is cut at random.
	Loopback bool

	// HistoryMax is how many bytes of the history's text are kept, the newest
	// ones; 0: 16 MiB. The hash covers all.
	HistoryMax int
}

// World is a simulated machine with its network: the clock, the descriptors,
// the ports. Several engines may share one, as loops share a process; then what
// happens is still random by the seed, but identical histories need all of it
// to be on one goroutine.
//
// Methods may be called from any goroutine, also inside Complete.
type World struct {
	mu   sync.Mutex
	cond *sync.Cond // something happened that a blocked Wait may want to know

	net    source // what happens in the network and to operations
	turns  source // what happens to Wait, apart: wakes shift its draws
	faults Faults

	bufferMin, bufferMax int
	loopback             bool

	// What differs between kernels.
	patient bool // a read or write of a pipe waits, though that does not block
	tells   bool // Unix sockets say that there is more to receive
	greedy  bool // the end of a stream takes a provided buffer

	now     time.Duration
	events  eventHeap
	seq     uint64
	cookies uint64

	files    []*file // by descriptor, less firstFD
	closed   map[int]*file
	limit    int
	bound    []*file
	nextPort uint16
	routes   map[string]Route
	tokens   map[any]int // descriptors that stand for simulated ones until Adopt
	programs map[string]func(*Child)
	spawned  int // children, ever
	dirty    []*file

	engines  []*Engine
	machines []*Machine
	asleep   int
	idle     func()

	history    history
	violations []string
}

// NewWorld returns an empty world at time zero.
func NewWorld(o Options) *World {
	w := &World{
		net:    source{o.Seed},
		turns:  source{^o.Seed * 0x9e3779b97f4a7c15},
		faults: o.Faults,
		idle:   o.Idle,
		closed: map[int]*file{},
		routes: map[string]Route{},
		tokens: map[any]int{},

		programs: map[string]func(*Child){},
		limit:    1 << 20,
	}
	w.cond = sync.NewCond(&w.mu)
	w.loopback = o.Loopback
	kernel := source{o.Seed ^ 0x6b65726e}
	w.patient, w.tells, w.greedy = kernel.below(2) == 0, kernel.below(2) == 0, kernel.below(2) == 0
	w.nextPort = ephemeralFirst + uint16(w.net.below(ephemeralCount))
	w.history.limit = cmp.Or(o.HistoryMax, 16<<20)
	w.bufferMin = cmp.Or(o.BufferMin, 4<<10)
	w.bufferMax = max(cmp.Or(o.BufferMax, 512<<10), w.bufferMin)
	return w
}

// New returns an engine in a world of its own.
func New(o Options) *Engine { return NewWorld(o).NewEngine(o.Config) }

// SetFaults changes the faults from now on; the zero Faults ends them.
func (w *World) SetFaults(f Faults) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = f
}

// SetDescriptorLimit makes n the number of descriptors that may be open at a
// time (RLIMIT_NOFILE). Beyond it Socket, Accept and Adopt meet EMFILE.
func (w *World) SetDescriptorLimit(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit = n
	for _, f := range w.files {
		if f != nil {
			f.touch()
		}
	}
	w.settle()
}

// Leaks describes every descriptor that is open and every piece of memory of
// Alloc that was not freed, oldest descriptor number first.
func (w *World) Leaks() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var leaks []string
	for _, f := range w.files {
		if f != nil {
			leaks = append(leaks, f.describe())
		}
	}
	for _, e := range w.engines {
		leaks = append(leaks, e.memory.leaks()...)
	}
	for _, m := range w.machines {
		leaks = append(leaks, m.leaks()...)
	}
	return leaks
}

// Kept returns how many receive buffers their receivers keep.
func (w *World) Kept() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.engines {
		n += len(e.kept)
	}
	for _, m := range w.machines {
		if m.audit != nil {
			n += len(m.audit.kept)
		}
	}
	return n
}

// Sever breaks the connection of the stream fd as a dead network would: the next
// operation on it fails with errno, which is a connection's end, and the peer
// is reset.
func (w *World) Sever(fd int, errno Errno) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.must(fd, "Sever")
	f.sever(errno)
	w.settle()
}

// unlocked calls f without the lock, and has it again afterwards, also when f
// panics.
func (w *World) unlocked(f func()) {
	w.mu.Unlock()
	defer w.mu.Lock()
	f()
}

// settle carries on with everything that a change made possible. It only queues
// completions, so it may be called anywhere.
func (w *World) settle() {
	for len(w.dirty) > 0 {
		f := w.dirty[0]
		w.dirty = w.dirty[1:]
		f.touched = false
		f.progress()
	}
}

// Route says what becomes of a connection to an address that is not this
// machine's loopback.
type Route uint8

// The routes.
const (
	Unreachable Route = iota // ENETUNREACH at once; what is not set otherwise
	Local                    // one of this machine's: may be bound and dialed
	Silent                   // nobody answers: ETIMEDOUT after two minutes
	Refusing                 // ECONNREFUSED after the way there and back
)

// SetRoute sets what becomes of connections to addr's IP address.
func (w *World) SetRoute(addr transport.Addr, r Route) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.routes[addr.Addr().String()] = r
}
