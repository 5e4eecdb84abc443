// Package result holds what a run of the benchmark found, as it is written to
// and read from files, and compares two of them.
package result

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sluice-net/sluice/bench/internal/stats"
)

// Schema names the form of a File. It changes when a field changes its meaning
// or goes; new fields leave it as it is.
const Schema = "sluice-bench/1"

// A File is one run.
type File struct {
	Schema    string     `json:"schema"`             // Schema
	Date      time.Time  `json:"date"`               // when it began
	Command   string     `json:"command"`            // that made it
	Revision  string     `json:"revision,omitempty"` // of the source, where known
	Machine   Machine    `json:"machine"`            // where it was made
	SliceMS   float64    `json:"slice_ms"`           // a contestant's turn
	Notes     []string   `json:"notes,omitempty"`    // what a reader must know of this run
	Workloads []Workload `json:"workloads"`          // in the order in which they were done
}

// A View is how servers and load share the CPUs.
type View string

// The views.
const (
	Pinned   View = "pinned"   // the server on one CPU with GOMAXPROCS 1, the load on another
	Unpinned View = "unpinned" // wherever the scheduler puts them
)

// A Workload is one kind of work and how each contestant did it.
type Workload struct {
	Name   string  `json:"name"`            // echo/64/50: what, bytes, connections
	Title  string  `json:"title"`           // for people
	View   View    `json:"view"`            // how the CPUs were shared
	Conns  int     `json:"conns"`           // connections
	Size   int     `json:"size"`            // bytes of a message
	Depth  int     `json:"depth,omitempty"` // messages under way on a connection
	Rate   float64 `json:"rate,omitempty"`  // messages a second that were asked for
	Rounds int     `json:"rounds"`          // in which each contestant had a turn

	// Congestion is TCP's congestion control, if it is another than the machine's.
	Congestion string `json:"congestion,omitempty"`

	Rows []Row `json:"rows"` // the base first
}

// A Row is one contestant at one workload. What was not or could not be
// measured is nil.
type Row struct {
	Contestant string  `json:"contestant"`            // net, net-again, uring, epoll
	Label      string  `json:"label"`                 // for people
	Note       string  `json:"note,omitempty"`        // the engine and why
	Error      string  `json:"error,omitempty"`       // why there is no result
	Missing    bool    `json:"missing,omitempty"`     // because this machine lacks something
	Messages   int64   `json:"messages,omitempty"`    // in all rounds
	PerSecond  float64 `json:"per_second,omitempty"`  // messages, the median round's
	MBPerSec   float64 `json:"mb_per_sec,omitempty"`  // 10^6 bytes in one direction
	CPUNS      float64 `json:"cpu_ns,omitempty"`      // server CPU time for a message, median
	ServerBusy float64 `json:"server_busy,omitempty"` // CPU time to wall time; may exceed 1
	LoadBusy   float64 `json:"load_busy,omitempty"`   // share of the time

	Latency  *Latency        `json:"latency,omitempty"`   // of messages that come back
	Syscalls *float64        `json:"syscalls,omitempty"`  // for a message
	Allocs   *float64        `json:"allocs,omitempty"`    // heap objects for a message
	Ratio    *stats.Interval `json:"ratio,omitempty"`     // of CPU for a message, to the base
	Late     int64           `json:"late,omitempty"`      // messages that a rate asked for in vain
	Lost     int64           `json:"lost,omitempty"`      // datagrams that did not come back
	IdleRSS  *float64        `json:"idle_rss,omitempty"`  // bytes of memory for a connection
	IdleHeap *float64        `json:"idle_heap,omitempty"` // of them, Go objects

	// Pairs are the ratios of CPU for a message to others than the base.
	Pairs []Pair `json:"pairs,omitempty"`

	// CPURounds is the CPU time in ns for a message in each round.
	CPURounds []float64 `json:"cpu_rounds,omitempty"`
}

// A Pair is how a contestant did in comparison with another one, in the same rounds.
type Pair struct {
	To    string         `json:"to"`    // the other one
	Label string         `json:"label"` // for people
	Ratio stats.Interval `json:"ratio"` // of CPU for a message, to the other one's
}

// Latency is the time of a message's way, in microseconds.
type Latency struct {
	P50  float64 `json:"p50_us"`  // the median
	P99  float64 `json:"p99_us"`  // of 100 messages, one takes longer
	P999 float64 `json:"p999_us"` // of 1000 messages, one takes longer
}

// LoadBound reports whether it was the load that limited the row: the load had
// no time to spare and the server had. Its messages a second are a lower bound
// then; and as it had less to do at once than it could have, its CPU time for a
// message is rather too high than too low.
func (r Row) LoadBound() bool {
	return r.LoadBusy > 0.95 && r.ServerBusy < 0.95
}

// Key identifies the workload in two runs.
func (w Workload) Key() string { return w.Name + " " + string(w.View) }

// Row returns the row of a contestant, nil if there is none with a result.
func (w Workload) Row(contestant string) *Row {
	for i := range w.Rows {
		if w.Rows[i].Contestant == contestant && w.Rows[i].Error == "" {
			return &w.Rows[i]
		}
	}
	return nil
}

// Failures returns a line for each row that has no result although the machine
// has what it takes.
func (f *File) Failures() []string {
	var out []string
	for _, w := range f.Workloads {
		for _, r := range w.Rows {
			if r.Error != "" && !r.Missing {
				out = append(out, fmt.Sprintf("%s, %s: %s", w.Name, r.Label, r.Error))
			}
		}
	}
	return out
}

// Write writes the run as JSON to the file at path, "-" for standard output.
func (f *File) Write(path string) error {
	data, err := json.MarshalIndent(f, "", "\t")
	if err != nil {
		return err
	}
	data = append(data, '\n')
	if path == "-" {
		_, err = os.Stdout.Write(data)
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

// Read reads what Write wrote.
func Read(path string) (*File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	f, err := decode(in)
	if err != nil {
		return nil, fmt.Errorf("read result %s: %w", path, err)
	}
	return f, nil
}

func decode(in io.Reader) (*File, error) {
	var f File
	if err := json.NewDecoder(in).Decode(&f); err != nil {
		return nil, err
	}
	if f.Schema != Schema {
		return nil, fmt.Errorf("its schema is %q, this program knows %q", f.Schema, Schema)
	}
	return &f, nil
}
