package oracletest

import (
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/transport"
)

// inside runs actions; what they cause at once is recorded as inside where.
// The result is that of the last return action.
func (s *subject) inside(where string, actions []Action, c *conn) (result bool) {
	s.stack = append(s.stack, where)
	depth := len(s.stack)
	defer func() { s.stack = s.stack[:depth-1] }()
	for _, a := range actions {
		target := c
		if a.C != "" {
			target = s.conn(a.C)
		}
		result = s.act(a, target)
	}
	return result
}

// controls are the actions that are neither calls nor observations.
var controls = []string{"raise", "raise_errno", "return"}

// act runs one action. The error of a call is recorded.
func (s *subject) act(a Action, c *conn) (result bool) {
	switch a.Do {
	case "raise":
		panic(errScripted)
	case "raise_errno":
		panic(error(syscall.ECONNRESET))
	case "return":
		return a.Val
	}
	if observe, ok := observations[a.Do]; ok {
		e := Event{Name: a.Do}
		observe(s, a, c, &e)
		if a.Do == "server_state" {
			c = nil
		}
		s.emit(c, e)
		return false
	}
	call := calls[a.Do]
	err := s.call(a, call.run, c)
	if !call.transport {
		c = nil
	}
	s.emit(c, Event{Name: "ret", Op: a.Do, Err: s.errName(err)})
	return false
}

// call makes a call, which is on the stack meanwhile.
func (s *subject) call(a Action, run func(*subject, Action, *conn) error, c *conn) error {
	s.stack = append(s.stack, a.Do)
	depth := len(s.stack)
	defer func() { s.stack = s.stack[:depth-1] }()
	return run(s, a, c)
}

// callAction is a call; those of a transport are recorded with its connection.
type callAction struct {
	transport bool
	run       func(*subject, Action, *conn) error
}

var calls map[string]callAction

// The actions run scripts, which run actions: hence no initialiser.
func init() {
	calls = map[string]callAction{
		"write": {true, func(_ *subject, a Action, c *conn) error {
			_, err := c.transport.Write(Pattern(a.Seed, a.N))
			return err
		}},
		"write_mutate":   {true, writeMutate},
		"writelines":     {true, writeLines},
		"write_eof":      mayFail(transport.Transport.WriteEOF),
		"close":          mayFail(transport.Transport.Close),
		"abort":          onTransport(transport.Transport.Abort),
		"pause_reading":  onTransport(transport.Transport.PauseReading),
		"resume_reading": onTransport(transport.Transport.ResumeReading),
		"limits":         {true, setLimits},
		"set_protocol":   {true, setProtocol},

		"call_soon": {false, func(s *subject, a Action, c *conn) error {
			s.cancels[a.Label] = s.env.CallSoon(s.labelled(a.Label, a.Then, c))
			return nil
		}},
		"call_later": {false, func(s *subject, a Action, c *conn) error {
			s.cancels[a.Label] = s.env.CallLater(milliseconds(a.MS), s.labelled(a.Label, a.Then, c))
			return nil
		}},
		"call_at": {false, callAt},
		"cancel": {false, func(s *subject, a Action, _ *conn) error {
			s.cancels[a.Label]()
			return nil
		}},
		"stop": onLoop(Env.Stop),
		"run_forever": {false, func(s *subject, _ Action, _ *conn) error {
			return s.env.RunForever()
		}},
		"close_loop": {false, func(s *subject, _ Action, _ *conn) error {
			return s.env.CloseLoop()
		}},

		"server_close":         onServer(Server.Close),
		"server_close_clients": onServer(Server.CloseClients),
		"server_abort_clients": onServer(Server.AbortClients),
		"server_start": {false, func(s *subject, _ Action, _ *conn) error {
			return s.server.StartServing()
		}},
		"server_wait_closed":   whenDone("wait_closed", Server.WaitClosed),
		"server_serve_forever": whenDone("serve_forever", Server.ServeForever),
	}
}

// onTransport is the action that calls a method without arguments.
func onTransport(method func(transport.Transport)) callAction {
	return callAction{true, func(_ *subject, _ Action, c *conn) error {
		method(c.transport)
		return nil
	}}
}

// mayFail is onTransport for a method with an error.
func mayFail(method func(transport.Transport) error) callAction {
	return callAction{true, func(_ *subject, _ Action, c *conn) error {
		return method(c.transport)
	}}
}

// onServer is onTransport for the server.
func onServer(method func(Server)) callAction {
	return callAction{false, func(s *subject, _ Action, _ *conn) error {
		method(s.server)
		return nil
	}}
}

// onLoop is onTransport for the loop.
func onLoop(method func(Env)) callAction {
	return callAction{false, func(s *subject, _ Action, _ *conn) error {
		method(s.env)
		return nil
	}}
}

// whenDone records the end of a call that takes its time.
func whenDone(event string, method func(Server, func(error))) callAction {
	return callAction{false, func(s *subject, _ Action, _ *conn) error {
		method(s.server, func(err error) {
			s.emit(nil, Event{Name: event, Err: s.errName(err)})
		})
		return nil
	}}
}

// labelled is a callback that records its label and runs actions.
func (s *subject) labelled(label string, then []Action, c *conn) func() {
	return func() {
		s.emit(nil, Event{Name: "callback", Label: label})
		s.inside("callback", then, c)
	}
}

// callAt counts from the first call_at of the scenario.
func callAt(s *subject, a Action, c *conn) error {
	if s.base == nil {
		now := s.env.Time()
		s.base = &now
	}
	s.cancels[a.Label] = s.env.CallAt(*s.base+milliseconds(a.MS), s.labelled(a.Label, a.Then, c))
	return nil
}

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// writeMutate overwrites the slice as soon as Write has returned.
func writeMutate(_ *subject, a Action, c *conn) error {
	p := Pattern(a.Seed, a.N)
	_, err := c.transport.Write(p)
	clear(p)
	return err
}

// writeLines cuts one pattern into slices.
func writeLines(_ *subject, a Action, c *conn) error {
	sizes := a.Sizes
	for range a.Count {
		sizes = append(sizes, a.N)
	}
	total := 0
	for _, n := range sizes {
		total += n
	}
	rest := Pattern(a.Seed, total)
	lines := make([][]byte, len(sizes))
	for i, n := range sizes {
		lines[i], rest = rest[:n:n], rest[n:]
	}
	return c.transport.WriteLines(lines)
}

// setLimits leaves to the default what the action does not say.
func setLimits(_ *subject, a Action, c *conn) error {
	l := transport.Limits{High: -1, Low: -1}
	if a.High != nil {
		l.High = *a.High
	}
	if a.Low != nil {
		l.Low = *a.Low
	}
	if a.Rel {
		l.High += c.transport.WriteBufferSize()
	}
	return c.transport.SetWriteBufferLimits(l)
}

func setProtocol(s *subject, a Action, c *conn) error {
	if a.Kind == "nil" {
		return c.transport.SetProtocol(nil)
	}
	return c.transport.SetProtocol(s.protocol(c, a.Kind, a.N))
}

// observations fill in what they saw.
var observations = map[string]func(*subject, Action, *conn, *Event){
	"state": func(_ *subject, a Action, c *conn, e *Event) { e.State = state(c.transport, a.Of) },
	"has_protocol": func(_ *subject, _ Action, c *conn, e *Event) {
		e.Value = c.transport.Protocol() != nil
	},
	"is_protocol": func(s *subject, _ Action, c *conn, e *Event) {
		e.Value = unwrapped(c.transport.Protocol()) == unwrapped(c.current)
	},
	"info": func(_ *subject, a Action, c *conn, e *Event) {
		e.Label, e.Value = a.Label, c.transport.ExtraInfo(a.Label) != nil
	},
	"can_write_eof": func(_ *subject, _ Action, c *conn, e *Event) {
		e.Value = c.transport.CanWriteEOF()
	},
	"limits_are": func(_ *subject, _ Action, c *conn, e *Event) {
		l := c.transport.WriteBufferLimits()
		e.Label = strconv.Itoa(l.High) + "," + strconv.Itoa(l.Low)
	},
	"server_state": func(s *subject, _ Action, _ *conn, e *Event) {
		e.State = joinTrue([]string{"serving", "sockets"}, map[string]bool{
			"serving": s.server.IsServing(), "sockets": s.server.HasSockets()})
	},
}

// state is what a transport says of itself.
func state(t transport.Transport, of string) string {
	if of == "" {
		of = "closing,reading,buffered,paused"
	}
	return joinTrue(strings.Split(of, ","), map[string]bool{
		"closing": t.IsClosing(), "reading": t.IsReading(),
		"buffered": t.WriteBufferSize() > 0, "paused": t.WritePaused()})
}

// joinTrue lists the names that are true, "none" where none is.
func joinTrue(names []string, is map[string]bool) string {
	var list []string
	for _, name := range names {
		if is[name] {
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, " ")
}
