package oracletest

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

// Run puts env through the scenario and fails t where the trace is not the
// expected one, or breaks an invariant. It skips t where env lacks what the
// scenario needs. The caller made env and closes it.
func Run(t testing.TB, s Scenario, env Env) {
	t.Helper()
	for _, need := range s.Needs {
		if !env.Can(need) {
			t.Skipf("needs a network with %q", need)
		}
	}
	want, err := s.Want(Files())
	if err != nil {
		t.Fatal(err)
	}
	got, err := Record(s, env)
	if err != nil {
		t.Fatalf("%s: %v", s.ID, err)
	}
	if diff := Compare(want, got, s.Level); diff != "" {
		t.Errorf("%s (%s), statements %v\n%s", s.ID, s.Title, s.Statements, diff)
	}
	if err := CheckInvariants(got); err != nil {
		t.Errorf("%s: %v", s.ID, err)
	}
}

// Record puts env through the scenario and returns the trace. What the scenario
// left open is aborted and closed; that is no part of the trace. The error is
// of the environment, not of the subject.
func Record(s Scenario, env Env) ([]Event, error) {
	r := &runner{env: env, subject: &subject{scenario: s, env: env, cancels: map[string]func(){}}}
	env.OnException(r.subject.exception)
	err := r.run(s)
	return r.events, errors.Join(err, r.clean())
}

// runner walks through the steps. Its methods are called on the test's
// goroutine, all functions in doSteps on the loop's.
type runner struct {
	env     Env
	subject *subject
	held    []func() error // for the next callback of the loop
	late    []lateEvent    // what the peer saw: recorded when the step is over
	events  []Event        // the finished trace
}

type lateEvent struct {
	conn  *conn
	event Event
}

func (r *runner) run(s Scenario) error {
	if s.Transport == TCPServer {
		server, err := r.env.Serve(r.subject.factory, s.Defer)
		if err != nil {
			return err
		}
		r.subject.server = server
	}
	for i, step := range s.Steps {
		if err := r.step(s, step); err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, step.Step, err)
		}
	}
	return nil
}

// step runs one step, and then the loop until it is quiet.
func (r *runner) step(s Scenario, step Step) error {
	var c *conn
	if s.Transport != NoConn && s.Transport != IdleLoop {
		c = r.subject.conn(step.conn())
	}
	if wait, ok := waitSteps[step.Step]; ok {
		if err := wait(r, step, c); err != nil {
			return err
		}
	} else {
		r.held = append(r.held, func() error { return doSteps[step.Step](r, step, c) })
		if step.Hold {
			return nil
		}
		if err := r.doHeld(); err != nil {
			return err
		}
	}
	if s.Transport == IdleLoop {
		return nil
	}
	if err := r.settle(); err != nil {
		return err
	}
	r.env.Do(r.emitLate)
	return nil
}

// settle settles again as long as that brings events, so that an Env whose idea
// of quiet is a number of idle turns cannot stop in the middle of a chain.
func (r *runner) settle() error {
	for events := -1; ; {
		if err := r.env.Settle(); err != nil {
			return err
		}
		now := 0
		r.env.Do(func() { now = len(r.subject.events) })
		if now == events {
			return nil
		}
		events = now
	}
}

// doHeld does what was held in one callback of the loop.
func (r *runner) doHeld() error {
	held := r.held
	r.held = nil
	var err error
	r.env.Do(func() {
		for _, f := range held {
			if err = f(); err != nil {
				return
			}
		}
	})
	return err
}

func (r *runner) emitLate() {
	late := r.late
	r.late = nil
	for _, l := range late {
		r.subject.emit(l.conn, l.event)
	}
}

// seen notes what the peer saw.
func (r *runner) seen(c *conn, e Event) { r.late = append(r.late, lateEvent{c, e}) }

// clean takes the trace and then ends what is still open.
func (r *runner) clean() error {
	s := r.subject
	end := func() {
		r.events = s.events
		s.quiet = true
		if s.server != nil {
			s.server.Close()
		}
		for _, c := range s.conns {
			if c.transport != nil {
				c.transport.Abort()
			}
			if c.peer != nil {
				_ = c.peer.Close() // nothing is asked of it any more
			}
		}
	}
	if s.scenario.Transport == IdleLoop {
		end()
		return nil
	}
	r.env.Do(end)
	return r.env.Settle()
}

// The steps that are done in one callback of the loop, and those that wait.
var (
	doSteps   map[string]func(*runner, Step, *conn) error
	waitSteps map[string]func(*runner, Step, *conn) error
)

// Steps hold actions, which the steps' own functions check: no initialiser.
func init() {
	doSteps = map[string]func(*runner, Step, *conn) error{
		"open":             (*runner).open,
		"attach":           (*runner).attach,
		"connect":          (*runner).connect,
		"batch":            (*runner).batch,
		"peer_send":        (*runner).peerSend,
		"peer_shutdown_wr": func(_ *runner, _ Step, c *conn) error { return c.peer.CloseWrite() },
		"peer_close":       func(_ *runner, _ Step, c *conn) error { return c.peer.Close() },
		"peer_reset":       func(_ *runner, _ Step, c *conn) error { return c.peer.Reset() },
	}
	waitSteps = map[string]func(*runner, Step, *conn) error{
		"accept":        (*runner).accept,
		"peer_recv":     (*runner).peerRecv,
		"peer_peek":     (*runner).peerPeek,
		"peer_send_all": (*runner).peerSendAll,
		"threadsafe":    (*runner).threadsafe,
		"wait_event":    (*runner).waitEvent,
		"outside":       (*runner).outside,
	}
}

func (r *runner) open(_ Step, c *conn) (err error) {
	c.socket, c.peer, err = r.env.Pair()
	return err
}

func (r *runner) attach(step Step, c *conn) error {
	c.socket.Attach(r.subject.factory(), r.created(step, c))
	return nil
}

// created records the end of a create call where that was asked for, or where
// it made no transport. Whether it fails too when the transport is lost at once
// is left open: asyncio's does not.
func (r *runner) created(step Step, c *conn) func(error) {
	return func(err error) {
		if step.Report || c.transport == nil {
			r.subject.emit(c, Event{Name: "created", Err: r.subject.errName(err)})
		}
	}
}

func (r *runner) connect(step Step, c *conn) (err error) {
	switch r.subject.scenario.Transport {
	case TCPServer:
		return r.dial(c)
	case TCPClient:
		c.accept, err = r.env.Connect(r.subject.factory(), step.Refused, r.created(step, c))
		return err
	}
	return errors.Join(r.open(step, c), r.attach(step, c))
}

func (r *runner) dial(c *conn) error {
	peer, err := r.subject.server.Dial()
	if err == nil {
		c.peer = peer
	}
	r.seen(c, Event{Name: "peer_connect", Err: r.subject.errName(err)})
	return nil
}

func (r *runner) batch(step Step, c *conn) error {
	r.subject.inside("batch", step.Do, c)
	return nil
}

// peerSend sends what must fit into the kernel's buffer.
func (r *runner) peerSend(step Step, c *conn) error {
	data := step.bytes()
	n, err := c.peer.Send(data)
	if err == nil && n < len(data) {
		return fmt.Errorf("the peer could send only %d bytes", n)
	}
	return err
}

func (r *runner) accept(_ Step, c *conn) error {
	return r.env.Until(func() bool {
		if c.peer == nil {
			c.peer, _ = c.accept() // not there yet, or never: Until ends that
		}
		return c.peer != nil
	})
}

// peerSendAll sends as the subject makes room.
func (r *runner) peerSendAll(step Step, c *conn) error {
	rest := step.bytes()
	var err error
	waited := r.env.Until(func() bool {
		var n int
		n, err = c.peer.Send(rest)
		rest = rest[n:]
		return err != nil || len(rest) == 0
	})
	if err = errors.Join(err, waited); err != nil {
		r.seen(c, Event{Name: "peer_send", Err: r.subject.errName(err)})
	}
	return nil
}

// peerRecv receives N bytes, or all until EOF, and notes how that ended.
func (r *runner) peerRecv(step Step, c *conn) error {
	buf := make([]byte, 64<<10)
	var end error
	waited := r.env.Until(func() bool {
		for end == nil && (step.UntilEOF || len(c.got) < step.N) {
			room := len(buf)
			if !step.UntilEOF {
				room = min(room, step.N-len(c.got))
			}
			n, err := c.peer.Recv(buf[:room])
			c.got = append(c.got, buf[:n]...)
			if errors.Is(err, ErrWouldBlock) {
				return false
			}
			end = err
		}
		return true
	})
	e := Event{Name: "peer_recv", EOF: errors.Is(end, io.EOF), data: c.got}
	if !e.EOF {
		e.Err = r.subject.errName(errors.Join(end, waited))
	}
	if step.Uncounted {
		e.data = nil
	}
	c.got = nil
	r.seen(c, e)
	return nil
}

// peerPeek looks when all is quiet.
func (r *runner) peerPeek(_ Step, c *conn) error {
	if err := r.settle(); err != nil {
		return err
	}
	r.env.Do(func() {
		what, err := c.peer.Pending()
		r.seen(c, Event{Name: "peer_peek", Label: what, Err: r.subject.errName(err)})
	})
	return nil
}

// threadsafe calls from the test's goroutine, which is not the loop's.
func (r *runner) threadsafe(step Step, _ *conn) error {
	r.env.CallSoonThreadsafe(r.subject.labelled(step.Label, step.Then, nil))
	return nil
}

func (r *runner) waitEvent(step Step, _ *conn) error {
	err := r.env.Until(func() bool {
		count := 0
		for _, e := range r.subject.events {
			if e.Name == step.Name {
				count++
			}
		}
		return count >= max(step.Count, 1)
	})
	if err != nil {
		r.seen(nil, Event{Name: "wait_event", Err: r.subject.errName(err)})
	}
	return nil
}

// outside acts while the loop does not run.
func (r *runner) outside(step Step, _ *conn) error {
	r.subject.inside("outside", step.Do, nil)
	return nil
}
