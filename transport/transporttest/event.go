package transporttest

import (
	"fmt"
	"strings"

	"github.com/sluice-net/sluice/transport"
)

// Event is one callback as recorded by a Recorder.
type Event struct {
	Name  string // made, data, get, updated, eof, pause, resume or lost
	N     int    // data, updated: how many bytes. get: the hint
	Err   error  // lost
	Depth int    // 0, or 1 and above inside another callback of the recorder
}

// String returns the event in short form: "data 5", "lost <nil>".
func (e Event) String() string {
	switch e.Name {
	case "data", "get", "updated":
		return fmt.Sprint(e.Name, " ", e.N)
	case "lost":
		return fmt.Sprint("lost ", e.Err)
	}
	return e.Name
}

// merged merges adjacent data events, because the boundary between chunks has no
// meaning.
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

// Trace returns the events so far, with adjacent data events merged, separated by
// commas: "made, data 5, eof, lost <nil>".
func (r *Recorder) Trace() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var parts []string
	for _, e := range merged(r.events) {
		parts = append(parts, e.String())
	}
	return strings.Join(parts, ", ")
}

// Events returns the events so far, unmerged.
func (r *Recorder) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Event(nil), r.events...)
}

// Count returns the number of events so far that have that name.
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

// Data returns a copy of all data received.
func (r *Recorder) Data() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]byte(nil), r.data...)
}

// Received returns the number of bytes received.
func (r *Recorder) Received() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.data)
}

// Transport returns the transport passed to ConnectionMade, or nil before that.
func (r *Recorder) Transport() transport.Transport {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.transport
}

// SetTransport replaces the connection's transport, for example with the one that
// Loop.StartTLS returned.
func (r *Recorder) SetTransport(t transport.Transport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.transport = t
}

// Lost reports whether ConnectionLost was called, and with which error.
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

// Violations describes each callback that the contract did not allow.
func (r *Recorder) Violations() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.violations...)
}
