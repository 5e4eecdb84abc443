package transporttest

import (
	"fmt"
	"strings"

	"github.com/sluice-net/sluice/transport"
)

// Event is one callback as a Recorder saw it.
type Event struct {
	Name  string // made, data, get, updated, eof, pause, resume or lost
	N     int    // data, updated: how many bytes. get: the hint
	Err   error  // lost
	Depth int    // 0, or 1 and more inside another callback of the recorder
}

// String returns the event in a few letters: "data 5", "lost <nil>".
func (e Event) String() string {
	switch e.Name {
	case "data", "get", "updated":
		return fmt.Sprint(e.Name, " ", e.N)
	case "lost":
		return fmt.Sprint("lost ", e.Err)
	}
	return e.Name
}

// merged makes one event of adjacent data events, because where one chunk ends
// and the next begins means nothing.
func merged(events []Event) []Event {
	var out []Event
	for _, e := range events {
		if n := len(out); e.Name == "data" && n > 0 && out[n-1].Name == "data" {
			out[n-1].N += e.N
			continue
		}
		out = append(out, e)
	}
	return out
}

// Trace returns the events so far, adjacent data merged, separated by commas:
// "made, data 5, eof, lost <nil>".
func (r *Recorder) Trace() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var parts []string
	for _, e := range merged(r.events) {
		parts = append(parts, e.String())
	}
	return strings.Join(parts, ", ")
}

// Events returns the events so far as they came.
func (r *Recorder) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Event(nil), r.events...)
}

// Count returns how many events of that name there were.
func (r *Recorder) Count(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.events {
		if e.Name == name {
			n++
		}
	}
	return n
}

// Data returns a copy of all that was received.
func (r *Recorder) Data() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]byte(nil), r.data...)
}

// Received returns how many bytes were received.
func (r *Recorder) Received() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.data)
}

// Transport returns what ConnectionMade got, nil before.
func (r *Recorder) Transport() transport.Transport {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.transport
}

// SetTransport says that the connection has another transport from now on: that
// which Loop.StartTLS has returned.
func (r *Recorder) SetTransport(t transport.Transport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.transport = t
}

// Lost reports whether ConnectionLost was called, and with what.
func (r *Recorder) Lost() (lost bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost, r.err
}

// GotEOF reports whether EOFReceived was called.
func (r *Recorder) GotEOF() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.eof
}

// Violations describes each callback that the contract does not allow.
func (r *Recorder) Violations() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.violations...)
}
