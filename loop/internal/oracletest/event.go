package oracletest

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Event is one event of a trace.
type Event struct {
	Conn     string `json:"c,omitempty"`     // the connection, "" for the loop and the server
	Protocol int    `json:"p,omitempty"`     // 2 and more: the protocol after SetProtocol
	Name     string `json:"ev"`              // a callback, ret, state, peer_recv, …
	In       string `json:"in,omitempty"`    // the call or callback that it happened inside
	Op       string `json:"op,omitempty"`    // ret: the call that returned
	Size     int    `json:"n,omitempty"`     // bytes delivered or received
	Hash     string `json:"h,omitempty"`     // the first 8 digits of their SHA-1
	Hex      string `json:"hex,omitempty"`   // themselves, where there are 32 at most
	EOF      bool   `json:"eof,omitempty"`   // peer_recv: ended by EOF
	Err      string `json:"err,omitempty"`   // an errno's name, PANIC, CLOSED, …; "": none
	Message  string `json:"msg,omitempty"`   // exception_handler: the callback it is about
	Label    string `json:"label,omitempty"` // of a callback, or what was observed
	Value    bool   `json:"val,omitempty"`   // what was observed
	State    string `json:"st,omitempty"`    // state: what is true, or "none"

	data []byte // what Size, Hash and Hex will be of
}

// The names of events that the comparison treats apart.
const (
	getBuffer        = "get_buffer"
	bufferUpdated    = "buffer_updated"
	dataReceived     = "data_received"
	exceptionHandler = "exception_handler"
)

var callbackNames = []string{
	"connection_made", "connection_lost", dataReceived, getBuffer, bufferUpdated,
	"eof_received", "pause_writing", "resume_writing",
}

// String is the event as a line of a trace file.
func (e Event) String() string {
	line, err := json.Marshal(e)
	if err != nil {
		return err.Error()
	}
	return string(line)
}

// digest replaces the bytes by size and hash.
func (e Event) digest() Event {
	if len(e.data) == 0 {
		return e
	}
	sum := sha1.Sum(e.data)
	e.Size, e.Hash = len(e.data), hex.EncodeToString(sum[:4])
	if len(e.data) <= 32 {
		e.Hex = hex.EncodeToString(e.data)
	}
	e.data = nil
	return e
}

// Normalise returns the normal form of a trace: get_buffer dropped, adjacent
// deliveries to one protocol merged, and for Partial sorted by connection. It
// does not change events, and a normal form is its own normal form.
func Normalise(events []Event, level Level) []Event {
	kept := make([]Event, 0, len(events))
	for _, e := range events {
		if e.Name != getBuffer {
			kept = append(kept, e.general())
		}
	}
	if level == Partial {
		slices.SortStableFunc(kept, func(a, b Event) int { return strings.Compare(a.Conn, b.Conn) })
	}
	var merged []Event
	for _, e := range kept {
		if last := len(merged) - 1; last >= 0 && merged[last].sameDelivery(e) {
			merged[last].data = append(slices.Clip(merged[last].data), e.data...)
			continue
		}
		merged = append(merged, e)
	}
	for i := range merged {
		merged[i] = merged[i].digest()
	}
	return merged
}

var callbackName = regexp.MustCompile(strings.Join(callbackNames, "|"))

// general leaves of a report to the exception handler what both sides say: the
// callback that it is about, and the connection where asyncio names it.
func (e Event) general() Event {
	if e.Name != exceptionHandler {
		return e
	}
	e.In = ""
	if e.Message = callbackName.FindString(e.Message); e.Message == "" {
		e.Message = "callback"
	}
	if slices.Contains([]string{"callback", "connection_made", "connection_lost"}, e.Message) {
		e.Conn = ""
	}
	return e
}

// sameDelivery reports whether next is more of the same delivery.
func (e Event) sameDelivery(next Event) bool {
	delivery := e.Name == dataReceived || e.Name == bufferUpdated
	return delivery && len(e.data) > 0 && len(next.data) > 0 &&
		e.Name == next.Name && e.Conn == next.Conn && e.Protocol == next.Protocol && e.In == next.In
}

// Compare returns "" where got is what is wanted, and otherwise shows the first
// difference with what went before it. At level Invariants want does not count.
func Compare(want, got []Event, level Level) (diff string) {
	if level == Invariants {
		if err := CheckInvariants(got); err != nil {
			return err.Error()
		}
		return ""
	}
	want, got = Normalise(want, level), Normalise(got, level)
	for i := range max(len(want), len(got)) {
		w, g := at(want, i), at(got, i)
		if w != g {
			return fmt.Sprintf("%sevent %d\n- %s\n+ %s\n", context(want[:i]), i+1, w, g)
		}
	}
	return ""
}

// at is a line of a trace, or a word for its end.
func at(events []Event, i int) string {
	if i >= len(events) {
		return "(end of trace)"
	}
	return events[i].String()
}

// context is the last few events that were equal.
func context(equal []Event) string {
	const shown = 4
	var b strings.Builder
	for _, e := range equal[max(0, len(equal)-shown):] {
		fmt.Fprintf(&b, "  %s\n", e)
	}
	return b.String()
}
