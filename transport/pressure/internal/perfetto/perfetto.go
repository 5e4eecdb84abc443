// Package perfetto writes traces that Perfetto and Chrome's trace viewer load:
// the JSON object format of trace events.
//
// What Perfetto's reader is strict about decides the shape. Of the keys of the
// outer object it knows few, and may stop reading at one that it does not know:
// a section of our own comes last. It reads no \u escapes in an event, and no
// array as a value of one: names are plain ASCII, arguments are numbers and
// strings. displayTimeUnit has to come before the events to count.
package perfetto

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// A Phase says what kind an Event is, in the letters of the format.
type Phase string

// The phases that are used.
const (
	Metadata Phase = "M" // names a process or a thread
	Counter  Phase = "C" // a sample of one or more values
	Complete Phase = "X" // a slice with a beginning and a duration
	Instant  Phase = "i" // a moment
)

// Micros is a duration, written as the format wants times: microseconds, with
// decimals.
type Micros time.Duration

// MarshalJSON writes three decimals at most, so nothing is lost.
func (m Micros) MarshalJSON() ([]byte, error) {
	whole, part := int64(m)/1000, int64(m)%1000
	if part == 0 {
		return strconv.AppendInt(nil, whole, 10), nil
	}
	return fmt.Appendf(nil, "%d.%03d", whole, part), nil
}

// An Event is one line of a trace.
type Event struct {
	Name     string         `json:"name"` // plain ASCII
	Phase    Phase          `json:"ph"`
	Category string         `json:"cat,omitempty"`
	Time     Micros         `json:"ts"`            // since the trace began
	Duration Micros         `json:"dur,omitempty"` // of a Complete event
	PID      int            `json:"pid"`
	TID      int            `json:"tid"`
	Scope    string         `json:"s,omitempty"`    // of an Instant: "t" is its thread
	Args     map[string]any `json:"args,omitempty"` // numbers and strings
}

// ProcessName returns the event that names a process.
func ProcessName(pid int, name string) Event {
	return Event{Name: "process_name", Phase: Metadata, PID: pid,
		Args: map[string]any{"name": Plain(name)}}
}

// ThreadName returns the events that name a thread, which is how a track that is
// no counter gets its name, and sort it by its number.
func ThreadName(pid, tid int, name string) []Event {
	return []Event{
		{Name: "thread_name", Phase: Metadata, PID: pid, TID: tid,
			Args: map[string]any{"name": Plain(name)}},
		{Name: "thread_sort_index", Phase: Metadata, PID: pid, TID: tid,
			Args: map[string]any{"sort_index": tid}},
	}
}

// Plain returns s in printable ASCII; what is not becomes a question mark.
func Plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// Write writes a trace with an event a line, and then section, under the key
// name, as the last of the outer object.
func Write(w io.Writer, events []Event, name string, section any) error {
	out := bufio.NewWriter(w)
	out.WriteString("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[")
	for i, e := range events {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
		if err := encode(out, e); err != nil {
			return fmt.Errorf("encode the event %s: %w", e.Name, err)
		}
	}
	fmt.Fprintf(out, "\n],\n%q:", name)
	if err := encode(out, section); err != nil {
		return fmt.Errorf("encode the section %s: %w", name, err)
	}
	out.WriteString("}\n")
	return out.Flush()
}

// encode writes v without the escapes that are meant for HTML.
func encode(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(bytes.TrimRight(b.Bytes(), "\n"))
	return err
}
