package pressure

import "strings"

// Level says how closely to look. It is a set: LevelEdges|LevelRing. Every level
// except LevelProcess includes LevelSnapshot.
type Level uint8

// The levels, from the cheapest to the most expensive.
const (
	// LevelProcess needs no privilege: it uses socket options, /proc and the flow
	// page, of this process or of another process of the same user (pidfd_getfd,
	// Linux 5.6, if ptrace is allowed). It excludes the other levels.
	LevelProcess Level = 1 << iota

	// LevelSnapshot pulls the state of all descriptors through an eBPF iterator. It
	// adds nothing to the data path.
	LevelSnapshot

	// LevelEdges adds rare events: state changes, full queues, drops,
	// retransmissions and resets; for rings, punts, overflows and missing buffers.
	LevelEdges

	// LevelFlow adds events for each segment and call: the exact times at which the
	// peer's window closes and opens, and how long data waits in the receive queue.
	// Every process of the host pays for it, so it ends after Options.Duration.
	LevelFlow

	// LevelRing adds the latency of ring requests by opcode. Every process of the
	// host that uses io_uring pays for it, so it ends after Options.Duration.
	LevelRing

	// LevelFuncs adds what needs fexit: the exact times at which our own window
	// closes and opens. Some machines refuse to load it. It ends after
	// Options.Duration.
	LevelFuncs
)

// LevelDefault is the best of LevelSnapshot|LevelEdges that is allowed, or
// LevelProcess if neither is.
const LevelDefault Level = 0

var levelNames = []struct {
	level Level
	name  string
}{
	{LevelProcess, "process"}, {LevelSnapshot, "snapshot"}, {LevelEdges, "edges"},
	{LevelFlow, "flow"}, {LevelRing, "ring"}, {LevelFuncs, "funcs"},
}

// boxed is the set of levels that end after Options.Duration.
const boxed = LevelFlow | LevelRing | LevelFuncs

// Has reports whether all of want are in l.
func (l Level) Has(want Level) bool { return l&want == want }

// String returns the names of the levels in the set: "snapshot+edges".
func (l Level) String() string {
	if l == LevelDefault {
		return "default"
	}
	var names []string
	for _, n := range levelNames {
		if l.Has(n.level) {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, "+")
}

// MarshalText encodes l as its String.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText decodes the output of String. If a name is unknown, the error wraps
// ErrName.
func (l *Level) UnmarshalText(text []byte) error {
	*l = 0
	if string(text) == "default" || len(text) == 0 {
		return nil
	}
	for part := range strings.SplitSeq(string(text), "+") {
		known := false
		for _, n := range levelNames {
			if n.name == part {
				*l, known = *l|n.level, true
			}
		}
		if !known {
			return unknownName("level", part)
		}
	}
	return nil
}
