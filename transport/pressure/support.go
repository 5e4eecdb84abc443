package pressure

import (
	"errors"
	"fmt"
	"strings"
)

// Support says what can be traced here, probe by probe.
type Support struct {
	// Level is the best of LevelSnapshot|LevelEdges that works, or LevelProcess.
	// For a Tracer, it is the level at which it traces.
	Level Level `json:"level"`
	// Err says what prevents eBPF altogether, in one sentence with the remedy; it
	// is nil if nothing does.
	Err error `json:"-"`
	// Kernel is the release of the running kernel.
	Kernel string `json:"kernel"`
	// Probes lists all possible probes, in the order of levels.
	Probes []Probing `json:"probes"`
}

// Probing is the state of one probe.
type Probing struct {
	// Name is the name of the program, Hook what it attaches to.
	Name string `json:"name"`
	Hook string `json:"hook"`
	// Level is the level that it belongs to.
	Level Level `json:"level"`
	// Status says whether it works.
	Status ProbeStatus `json:"status"`
	// Why says why it does not work, Remedy what to do about it, if anything.
	Why    string `json:"why,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// ProbeStatus says whether a probe works.
type ProbeStatus uint8

// The states of a probe.
const (
	// ProbeOff: its level was not asked for.
	ProbeOff ProbeStatus = iota
	// ProbeAvailable: it would work (for Probe), or it is loaded (for a Tracer).
	ProbeAvailable
	// ProbeAttached: it is running.
	ProbeAttached
	// ProbeAbsent: this kernel does not have its hook.
	ProbeAbsent
	// ProbeRefused: the kernel refuses it.
	ProbeRefused
	// ProbeExpired: it ran and was detached after Options.Duration.
	ProbeExpired
)

var probeStatusNames = []string{"off", "available", "attached", "absent", "refused", "expired"}

// String returns the state's name.
func (s ProbeStatus) String() string { return nameOf(probeStatusNames, s) }

// MarshalText encodes s as its String.
func (s ProbeStatus) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText decodes what String returns.
func (s *ProbeStatus) UnmarshalText(text []byte) error {
	return parseName(probeStatusNames, "probe status", text, s)
}

// String returns a human-readable table with one line for each probe.
func (s Support) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "kernel %s: level %s\n", s.Kernel, s.Level)
	if s.Err != nil {
		fmt.Fprintf(&b, "%v\n", s.Err)
	}
	for _, p := range s.Probes {
		fmt.Fprintf(&b, "%-9s %-14s %-34s %s", p.Level, p.Name, p.Hook, p.Status)
		if p.Why != "" {
			fmt.Fprintf(&b, ": %s", p.Why)
		}
		if p.Remedy != "" {
			fmt.Fprintf(&b, "; %s", p.Remedy)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// UnsupportedError says what eBPF lacks here. errors.Is finds errors.ErrUnsupported
// and Err in it. Its text is one sentence with the remedy.
type UnsupportedError struct {
	// Need is what is missing and how to get it: "CAP_BPF and CAP_PERFMON: …".
	Need string
	// Err is what the kernel said, or nil.
	Err error
}

// Error returns the sentence.
func (e *UnsupportedError) Error() string {
	if e.Err == nil {
		return "eBPF tracing needs " + e.Need
	}
	return "eBPF tracing needs " + e.Need + " (" + e.Err.Error() + ")"
}

// Unwrap returns errors.ErrUnsupported and e.Err.
func (e *UnsupportedError) Unwrap() []error {
	if e.Err == nil {
		return []error{errors.ErrUnsupported}
	}
	return []error{errors.ErrUnsupported, e.Err}
}
