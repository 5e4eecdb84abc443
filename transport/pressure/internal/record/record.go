// Package record keeps what a tracer saw, as a file that Perfetto and Chrome
// show as a trace and that sluicetop reads back whole: reports, findings and
// profiles are made of it later, also on another machine.
package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/perfetto"
)

// Version is that of the section of our own. A reader refuses a newer one.
const Version = 1

// Section is its key in the outer object of the file.
const Section = "sluice"

// The errors of Read.
var (
	// ErrNoRecording: the file is no trace, or one without our section.
	ErrNoRecording = errors.New("not a recording of sluicetop")
	// ErrVersion: the file is of a newer sluicetop.
	ErrVersion = errors.New("recording of a newer version")
)

// A Recording is what was seen of one process.
type Recording struct {
	// Version is that of the format.
	Version int `json:"version"`
	// Process is its name, PID its number, Host and Kernel where it ran.
	Process string `json:"process"`
	PID     int    `json:"pid"`
	Host    string `json:"host"`
	Kernel  string `json:"kernel"`
	// Started is when the first moment was, by the wall clock.
	Started time.Time `json:"started"`
	// Level is how closely was looked; Limits says what was in the way of more.
	Level  pressure.Level `json:"level"`
	Limits string         `json:"limits,omitempty"`
	// Moments are in the order of time.
	Moments []Moment `json:"moments"`
	// Events are in the order of time; Lost is how many are missing.
	Events []pressure.Event `json:"events,omitempty"`
	Lost   uint64           `json:"lost,omitempty"`
}

// A Moment is a snapshot and the accounts of the time since the one before.
type Moment struct {
	Snapshot *pressure.Snapshot `json:"snapshot"`
	Accounts []pressure.Account `json:"accounts,omitempty"`
}

// Begin and End are the times of the first and the last moment, 0 without any.
func (r *Recording) Begin() time.Duration {
	if len(r.Moments) == 0 {
		return 0
	}
	return r.Moments[0].Snapshot.Time
}

// End is the time of the last moment, 0 without any.
func (r *Recording) End() time.Duration {
	if len(r.Moments) == 0 {
		return 0
	}
	return r.Moments[len(r.Moments)-1].Snapshot.Time
}

// Snapshots returns those of all moments.
func (r *Recording) Snapshots() []*pressure.Snapshot {
	out := make([]*pressure.Snapshot, 0, len(r.Moments))
	for _, m := range r.Moments {
		out = append(out, m.Snapshot)
	}
	return out
}

// Findings are what is wrong, by the rules of the library.
func (r *Recording) Findings() []pressure.Finding {
	return pressure.Diagnose(pressure.Evidence{Snapshots: r.Snapshots(), Accounts: r.Totals()})
}

// Write writes the recording as a trace.
func (r *Recording) Write(w io.Writer) error {
	return perfetto.Write(w, r.traceEvents(), Section, r)
}

// Read reads what Write wrote. It fails with ErrNoRecording, and with ErrVersion
// for a recording of a newer sluicetop.
func Read(in io.Reader) (*Recording, error) {
	var file struct {
		Own *json.RawMessage `json:"sluice"`
	}
	if err := json.NewDecoder(in).Decode(&file); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRecording, err)
	}
	if file.Own == nil {
		return nil, fmt.Errorf("%w: no section %q", ErrNoRecording, Section)
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(*file.Own, &head); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRecording, err)
	}
	if head.Version > Version || head.Version < 1 {
		return nil, fmt.Errorf("%w: version %d, this one reads up to %d", ErrVersion,
			head.Version, Version)
	}
	r := &Recording{}
	if err := json.Unmarshal(*file.Own, r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRecording, err)
	}
	for i, m := range r.Moments {
		if m.Snapshot == nil {
			return nil, fmt.Errorf("%w: moment %d has no snapshot", ErrNoRecording, i)
		}
	}
	return r, nil
}
