package transporttest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Hooks are called by a Recorder inside its callbacks, after it has recorded the
// event, without a lock held. Each may be nil and may do whatever a protocol may
// do: call methods of the transport, or panic. Set them before the connection is
// made, or on the loop's goroutine.
type Hooks struct {
	Made    func(t transport.Transport) // ConnectionMade
	Data    func(data []byte)           // DataReceived
	Get     func(hint int) []byte       // GetBuffer, buffered recorders; nil: their own memory
	Updated func(n int)                 // BufferUpdated
	EOF     func() (keepOpen bool)      // EOFReceived; nil: false
	Pause   func()                      // PauseWriting
	Resume  func()                      // ResumeWriting
	Lost    func(err error)             // ConnectionLost
}

// Recorder is a protocol.Protocol that records every callback and checks it against
// the state machine of the contract. The zero value is ready to use; Buffered
// returns a protocol.BufferedProtocol that records to it. A Recorder is for one
// connection. Its methods other than the callbacks may be called from any
// goroutine.
//
//	start -> made [-> data | get [-> updated]]* [-> eof]? -> lost -> end
//	         pause and resume alternate, between made and lost
type Recorder struct {
	// On holds what the recorder does in addition to recording.
	On Hooks

	mu         sync.Mutex
	transport  transport.Transport
	events     []Event
	data       []byte
	violations []string
	tb         testing.TB

	made, eof, lost, paused bool
	depth                   int
	lent                    []byte // what the last Get returned
	own                     []byte // the memory of a buffered recorder
	err                     error
}

var _ protocol.Protocol = (*Recorder)(nil)

// NewRecorder returns a Recorder that fails tb as soon as a violation happens.
func NewRecorder(tb testing.TB) *Recorder { return &Recorder{tb: tb} }

// Successor returns a Recorder to be installed with SetProtocol on t: it expects no
// ConnectionMade.
func Successor(tb testing.TB, t transport.Transport) *Recorder {
	return &Recorder{tb: tb, transport: t, made: true, paused: t.WritePaused()}
}

// Buffered returns the Recorder as a BufferedProtocol, for a Factory, with a buffer
// of size bytes that it offers every time.
func (r *Recorder) Buffered(size int) protocol.Protocol {
	r.own = make([]byte, size)
	return protocol.Buffered(&buffered{r})
}

// ConnectionMade implements protocol.Protocol.
func (r *Recorder) ConnectionMade(t transport.Transport) {
	r.mu.Lock()
	r.check(!r.made, "I1: ConnectionMade twice")
	r.check(len(r.events) == 0, "I1: ConnectionMade is not the first callback")
	r.made, r.transport = true, t
	defer r.enter(Event{Name: "made"})()
	if r.On.Made != nil {
		r.On.Made(t)
	}
}

// DataReceived implements protocol.Protocol.
func (r *Recorder) DataReceived(data []byte) {
	r.mu.Lock()
	r.check(len(data) > 0, "DataReceived of nothing")
	r.checkReceives("DataReceived")
	r.data = append(r.data, data...)
	defer r.enter(Event{Name: "data", N: len(data)})()
	if r.On.Data != nil {
		r.On.Data(data)
	}
}

// EOFReceived implements protocol.Protocol.
func (r *Recorder) EOFReceived() (keepOpen bool) {
	r.mu.Lock()
	r.checkAlive("EOFReceived")
	r.check(!r.eof, "I4: EOFReceived twice")
	r.check(r.depth == 0, "EOFReceived inside another callback")
	r.check(r.transport == nil || !r.transport.IsClosing() || endsWithInput(r.transport),
		"EOFReceived after Close")
	r.eof = true
	defer r.enter(Event{Name: "eof"})()
	if r.On.EOF != nil {
		return r.On.EOF()
	}
	return false
}

// PauseWriting implements protocol.Protocol.
func (r *Recorder) PauseWriting() {
	r.mu.Lock()
	r.checkAlive("PauseWriting")
	r.check(!r.paused, "I6: PauseWriting twice without ResumeWriting")
	r.paused = true
	if t := r.transport; t != nil {
		r.check(t.WriteBufferSize() > t.WriteBufferLimits().High,
			"PauseWriting at or below the high mark")
	}
	defer r.enter(Event{Name: "pause"})()
	if r.On.Pause != nil {
		r.On.Pause()
	}
}

// ResumeWriting implements protocol.Protocol.
func (r *Recorder) ResumeWriting() {
	r.mu.Lock()
	r.checkAlive("ResumeWriting")
	r.check(r.paused, "I6: ResumeWriting without PauseWriting")
	r.check(r.depth == 0, "ResumeWriting inside another callback")
	r.paused = false
	if t := r.transport; t != nil {
		r.check(t.WriteBufferSize() <= t.WriteBufferLimits().Low,
			"ResumeWriting above the low mark")
	}
	defer r.enter(Event{Name: "resume"})()
	if r.On.Resume != nil {
		r.On.Resume()
	}
}

// ConnectionLost implements protocol.Protocol.
func (r *Recorder) ConnectionLost(err error) {
	r.mu.Lock()
	r.checkAlive("ConnectionLost")
	r.check(r.depth == 0, "I10: ConnectionLost inside another callback")
	if t := r.transport; t != nil {
		r.check(t.IsClosing(), "ConnectionLost of a transport that is not closing")
		r.check(t.WriteBufferSize() == 0, "ConnectionLost with bytes in the write buffer")
	}
	r.lost, r.err = true, err
	defer r.enter(Event{Name: "lost", Err: err})()
	if r.On.Lost != nil {
		r.On.Lost(err)
	}
}

// enter records e, releases the lock and counts the callback's depth. The function
// that it returns must be called at the end of the callback.
func (r *Recorder) enter(e Event) (leave func()) {
	e.Depth = r.depth
	r.events = append(r.events, e)
	r.depth++
	r.mu.Unlock()
	return func() {
		r.mu.Lock()
		r.depth--
		r.mu.Unlock()
	}
}

// checkAlive checks that the connection has been made and is not lost, as the
// callback requires.
func (r *Recorder) checkAlive(callback string) {
	r.check(r.made, "I1: "+callback+" before ConnectionMade")
	r.check(!r.lost, "I2: "+callback+" after ConnectionLost")
}

// checkReceives checks that input may be delivered now.
func (r *Recorder) checkReceives(callback string) {
	r.checkAlive(callback)
	r.check(!r.eof, "I3: "+callback+" after EOFReceived")
	r.check(r.depth == 0, callback+" inside another callback")
	if t := r.transport; t != nil {
		r.check(!t.IsClosing(), callback+" after Close")
		r.check(t.IsReading(), "I7: "+callback+" while reading is paused")
	}
}

// check records a violation. It is called with the lock held.
func (r *Recorder) check(ok bool, violation string) {
	if ok {
		return
	}
	violation = fmt.Sprintf("%s (after %v)", violation, merged(r.events))
	r.violations = append(r.violations, violation)
	if r.tb != nil {
		r.tb.Error(violation)
	}
}

// endsWithInput reports whether t is a pipe, which closes before EOFReceived.
func endsWithInput(t transport.Transport) bool { return t.ExtraInfo("pipe") != nil }
