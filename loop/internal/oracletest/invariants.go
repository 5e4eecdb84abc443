package oracletest

import "fmt"

// phase is how far a connection's callbacks have come.
//
//	unmade --connection_made--> open --eof_received--> ended
//	            open, ended --connection_lost--> lost
type phase uint8

const (
	unmade phase = iota
	open
	ended
	lost
)

// automaton checks the callbacks of one connection.
type automaton struct {
	phase   phase
	paused  bool // writing
	offered bool // a get_buffer without its buffer_updated
}

// CheckInvariants returns an error for the first callback that no trace may
// have where it is: connection_made first and once, connection_lost last and
// once and never inside a call of the user's, no input after eof_received,
// pause_writing and resume_writing in turn, buffer_updated only after
// get_buffer. It is meant for traces that are not in normal form; in those
// that are, get_buffer is missing and its rule is not checked.
func CheckInvariants(events []Event) error {
	conns := map[string]*automaton{}
	for i, e := range events {
		a := conns[e.Conn]
		if a == nil {
			a = &automaton{}
			conns[e.Conn] = a
		}
		if why := a.step(e); why != "" {
			return fmt.Errorf("event %d, %s: %s", i+1, e, why)
		}
	}
	return nil
}

// step takes one event and returns what is wrong with it, or "".
func (a *automaton) step(e Event) string {
	switch e.Name {
	case "connection_made":
		if a.phase != unmade {
			return "the connection was made already"
		}
		a.phase = open
	case "connection_lost":
		return a.lose(e)
	case dataReceived, getBuffer, bufferUpdated:
		return a.input(e)
	case "eof_received":
		if a.phase != open {
			return "EOF on a connection that is not open"
		}
		a.phase = ended
	case "pause_writing", "resume_writing":
		return a.pause(e.Name == "pause_writing")
	}
	return ""
}

func (a *automaton) lose(e Event) string {
	switch {
	case a.phase == unmade || a.phase == lost:
		return "lost without being there"
	case e.In != "" && e.In != "run_forever":
		return "lost inside " + e.In
	}
	a.phase = lost
	return ""
}

func (a *automaton) input(e Event) string {
	switch {
	case a.phase != open:
		return "input on a connection that is not open"
	case e.Name == bufferUpdated && len(e.data) > 0 && !a.offered:
		return "no get_buffer before it"
	}
	a.offered = e.Name == getBuffer
	return ""
}

func (a *automaton) pause(paused bool) string {
	if a.phase == unmade || a.phase == lost || a.paused == paused {
		return "pause_writing and resume_writing do not take turns on a live connection"
	}
	a.paused = paused
	return ""
}
