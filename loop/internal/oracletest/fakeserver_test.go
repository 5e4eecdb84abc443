package oracletest

import (
	"slices"
	"syscall"

	"github.com/sluice-net/sluice/protocol"
)

// fakeServer is the Server of a fakeLoop.
type fakeServer struct {
	l               *fakeLoop
	factory         protocol.Factory
	serving, closed bool
	backlog         []*wire
	clients         []*fakeStream
	waiting         []func(error) // WaitClosed
	forever         []func(error) // ServeForever
}

func (l *fakeLoop) Serve(factory protocol.Factory, deferred bool) (Server, error) {
	return &fakeServer{l: l, factory: factory, serving: !deferred}, nil
}

func (s *fakeServer) Dial() (Peer, error) {
	if !s.serving {
		return nil, syscall.ECONNREFUSED
	}
	w := &wire{tcp: true}
	s.backlog = append(s.backlog, w)
	s.l.CallSoon(s.accept)
	return fakePeer{w}, nil
}

// accept makes a connection of the first in the backlog.
func (s *fakeServer) accept() {
	if len(s.backlog) == 0 {
		return
	}
	w := s.backlog[0]
	s.backlog = s.backlog[1:]
	var p protocol.Protocol
	if s.l.guard("Exception in callback", nil, func() { p = s.factory() }) != nil {
		w.subjectGone, w.subjectEOF = true, true
		return
	}
	stream := newFakeStream(s.l, w, p)
	s.clients = append(s.clients, stream)
	stream.onLost = func() {
		s.clients = slices.DeleteFunc(s.clients, func(c *fakeStream) bool { return c == stream })
		s.drained()
	}
}

func (s *fakeServer) Close() {
	if s.closed {
		return
	}
	s.closed, s.serving, s.backlog = true, false, nil
	for _, done := range s.forever {
		s.l.CallSoon(func() { done(errServerClosed) })
	}
	s.drained()
}

// drained ends WaitClosed when it is time.
func (s *fakeServer) drained() {
	if !s.closed || len(s.clients) > 0 {
		return
	}
	for _, done := range s.waiting {
		s.l.CallSoon(func() { done(nil) })
	}
	s.waiting = nil
}

func (s *fakeServer) CloseClients() {
	for _, c := range s.clients {
		_ = c.Close() // always nil
	}
}

func (s *fakeServer) AbortClients() {
	for _, c := range s.clients {
		c.Abort()
	}
}

func (s *fakeServer) StartServing() error {
	if s.closed {
		return errServerClosed
	}
	s.serving = true
	return nil
}

func (s *fakeServer) IsServing() bool  { return s.serving }
func (s *fakeServer) HasSockets() bool { return !s.closed }

func (s *fakeServer) WaitClosed(done func(error)) {
	s.waiting = append(s.waiting, done)
	s.drained()
}

func (s *fakeServer) ServeForever(done func(error)) { s.forever = append(s.forever, done) }
