package oracletest

import (
	"errors"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// errScripted is what the action raise panics with.
var errScripted = errors.New("oracle: scripted panic")

// conn is one connection of a scenario.
type conn struct {
	name      string
	transport transport.Transport
	current   transport.BaseProtocol // set last by the script
	protocols int                    // how many it has had
	counts    map[string]int         // of each callback
	socket    Socket
	peer      Peer
	accept    func() (Peer, error)
	got       []byte // by the peer, since the last peer_recv
}

// subject is the side under test: its connections and the trace. All of it
// lives on the loop's goroutine.
type subject struct {
	scenario Scenario
	env      Env
	server   Server
	conns    []*conn
	cancels  map[string]func()
	events   []Event
	stack    []string       // the calls and callbacks that are being executed
	base     *time.Duration // what call_at counts from, nil before the first
	quiet    bool           // the script is over
}

// emit appends an event.
func (s *subject) emit(c *conn, e Event) {
	if s.quiet {
		return
	}
	if n := len(s.stack); n > 0 {
		e.In = s.stack[n-1]
	}
	if c != nil {
		e.Conn = c.name
		c.counts[e.Name]++
	}
	s.events = append(s.events, e)
}

// exception is the loop's exception handler.
func (s *subject) exception(message string, err error, p transport.BaseProtocol) {
	s.emit(s.owner(p), Event{Name: exceptionHandler, Message: message, Err: s.errName(err)})
}

// owner is the connection of a scripted protocol, nil for any other.
func (s *subject) owner(p transport.BaseProtocol) *conn {
	switch p := unwrapped(p).(type) {
	case *plain:
		return p.conn
	case *buffered:
		return p.conn
	}
	return nil
}

// unwrapped is p, or the BufferedProtocol inside it.
func unwrapped(p transport.BaseProtocol) transport.BaseProtocol {
	if b, ok := protocol.AsBuffered(p); ok {
		return b
	}
	return p
}

// conn returns the connection of that name, making it on first use.
func (s *subject) conn(name string) *conn {
	for _, c := range s.conns {
		if c.name == name {
			return c
		}
	}
	c := &conn{name: name, counts: map[string]int{}}
	s.conns = append(s.conns, c)
	return c
}

// factory makes the protocol of the first connection that has none.
func (s *subject) factory() protocol.Protocol {
	next := s.unmade()
	if s.scenario.Protocol.Kind == "raise" {
		next.protocols++
		panic(errScripted)
	}
	return s.protocol(next, s.scenario.Protocol.Kind, s.scenario.Protocol.N)
}

// unmade is the first connection without a protocol.
func (s *subject) unmade() *conn {
	for _, c := range s.conns {
		if c.protocols == 0 {
			return c
		}
	}
	return s.conn("c" + strconv.Itoa(len(s.conns)+1))
}

// protocol makes a scripted protocol for c.
func (s *subject) protocol(c *conn, kind string, size int) protocol.Protocol {
	c.protocols++
	h := hooked{subject: s, conn: c, index: c.protocols}
	var p protocol.Protocol
	if kind == "buffered" {
		p = protocol.Buffered(&buffered{hooked: h, buffer: make([]byte, size)})
	} else {
		p = &plain{hooked: h}
	}
	c.current = p
	return p
}

// hooked is what plain and buffered protocols share: record, then do what the
// hooks say.
type hooked struct {
	subject *subject
	conn    *conn
	index   int
}

func (h *hooked) fire(e Event) (result bool) {
	if h.index > 1 {
		e.Protocol = h.index
	}
	h.subject.emit(h.conn, e)
	return h.subject.runHooks(e.Name, h.conn)
}

func (h *hooked) ConnectionMade(t transport.Transport) {
	h.conn.transport = t
	h.fire(Event{Name: "connection_made"})
}

func (h *hooked) ConnectionLost(err error) {
	h.fire(Event{Name: "connection_lost", Err: h.subject.errName(err)})
}

func (h *hooked) PauseWriting()  { h.fire(Event{Name: "pause_writing"}) }
func (h *hooked) ResumeWriting() { h.fire(Event{Name: "resume_writing"}) }

func (h *hooked) EOFReceived() (keepOpen bool) { return h.fire(Event{Name: "eof_received"}) }

// plain is a scripted Protocol.
type plain struct{ hooked }

func (p *plain) DataReceived(data []byte) {
	p.fire(Event{Name: dataReceived, data: append([]byte(nil), data...)})
}

// buffered is a scripted BufferedProtocol with a buffer of a fixed size.
type buffered struct {
	hooked
	buffer []byte
}

func (p *buffered) GetBuffer(int) []byte {
	p.fire(Event{Name: getBuffer})
	return p.buffer
}

func (p *buffered) BufferUpdated(n int) {
	p.fire(Event{Name: bufferUpdated, data: append([]byte(nil), p.buffer[:n]...)})
}

// runHooks runs the hooks of a callback, inside it.
func (s *subject) runHooks(callback string, c *conn) (result bool) {
	for _, h := range s.scenario.Hooks {
		wanted := h.On == callback && (h.C == "" || h.C == c.name)
		if s.quiet || !wanted || h.Nth != 0 && h.Nth != c.counts[callback] {
			continue
		}
		result = s.inside(callback, h.Do, c)
	}
	return result
}

// errName is the name that an error has in a trace.
func (s *subject) errName(err error) string {
	if err == nil {
		return ""
	}
	if name := s.env.ErrName(err); name != "" {
		return name
	}
	if _, ok := errors.AsType[*protocol.PanicError](err); ok || err == errScripted {
		return "PANIC"
	}
	for _, known := range errNames {
		if errors.Is(err, known.err) {
			return known.name
		}
	}
	return strings.ToUpper(err.Error())
}

var errNames = []struct {
	err  error
	name string
}{
	{protocol.ErrEmptyBuffer, "EMPTYBUFFER"},
	{transport.ErrEOFWritten, "EOFWRITTEN"},
	{transport.ErrBadLimits, "BADLIMITS"},
	{transport.ErrNilProtocol, "NILPROTOCOL"},
	{transport.ErrProtocolKind, "KIND"},
	{transport.ErrClosed, "CLOSED"},
	{ErrQuiet, "TIMEOUT"},
	{syscall.ECONNRESET, "ECONNRESET"},
	{syscall.ECONNREFUSED, "ECONNREFUSED"},
	{syscall.EPIPE, "EPIPE"},
	{syscall.ENOTCONN, "ENOTCONN"},
}
