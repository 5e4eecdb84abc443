// Package netserver is the base that others are compared with: package net as
// it is usually used, a goroutine per connection that blocks in Read and Write,
// and nothing that would hold it back: options as net sets them, and a buffer
// of 64 KiB for each connection.
package netserver

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// Name is how the contestant is asked for.
const Name = "net"

// Contestant is std net as a contestant.
type Contestant struct{}

// Name returns "net".
func (Contestant) Name() string { return Name }

// Serves is true: Go's standard library does it all.
func (Contestant) Serves(contest.Mode) bool { return true }

// Serve serves until the process ends.
func (Contestant) Serve(task contest.Task, ready func(contest.Hello)) error {
	switch {
	case task.Mode == contest.Datagrams:
		return serveDatagrams(ready)
	case task.Mode.Works():
		return serveWork(task.Mode, ready)
	}
	s, err := Listen(task)
	if err != nil {
		return err
	}
	ready(contest.Hello{Addr: s.Addr(), Note: "package net, a goroutine per connection"})
	if task.Mode == contest.HTTP {
		return ServeHTTP(s.listener, task.Page)
	}
	return s.accept()
}

// A Server serves one mode on one port. Close ends it.
type Server struct {
	task     contest.Task
	listener net.Listener
	file     *os.File // of SendFile
	room     *room    // of FanOut

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
	all    sync.WaitGroup
}

// Listen returns a server on a free port of 127.0.0.1 that accepts nothing yet.
func Listen(task contest.Task) (*Server, error) {
	s := &Server{task: task, conns: map[net.Conn]struct{}{}, room: &room{size: task.Size}}
	var err error
	if task.Mode == contest.SendFile {
		if s.file, err = contest.PatternFile(); err != nil {
			return nil, err
		}
	}
	if s.listener, err = listen(task.Mode); err != nil {
		s.file.Close()
		return nil, err
	}
	return s, nil
}

// listen is net.Listen, or tls.Listen if the mode needs that.
func listen(mode contest.Mode) (net.Listener, error) {
	const network, addr = "tcp4", "127.0.0.1:0"
	switch mode {
	case contest.EchoUnix:
		return net.Listen("unix", contest.UnixName())
	case contest.EchoTLS:
	default:
		return net.Listen(network, addr)
	}
	config, err := contest.TLSServer()
	if err != nil {
		return nil, err
	}
	return tls.Listen(network, addr, config)
}

// Addr is the address that the server listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Start has a goroutine accept connections until Close.
func (s *Server) Start() { s.all.Go(func() { s.accept() }) }

// Close closes the listener and all connections, and waits until their
// goroutines are gone.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.listener.Close()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.all.Wait()
	s.file.Close() // nil is an error that nobody needs
}

func (s *Server) accept() error {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return err
		}
		if !s.add(c) {
			return net.ErrClosed
		}
		if s.task.Mode == contest.FanOut {
			s.admit(c)
			continue
		}
		s.task.Page.Conns.Add(1)
		s.all.Go(func() {
			defer s.remove(c)
			s.serve(c)
		})
	}
}

// admit makes c a member of the room, and then counts it: nothing is said before all
// are counted.
func (s *Server) admit(c net.Conn) {
	m := s.room.join(c)
	s.task.Page.Conns.Add(1)
	s.all.Go(m.write)
	s.all.Go(func() {
		defer s.remove(c)
		defer s.room.leave(m)
		s.room.listen(m)
	})
}

func (s *Server) add(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) remove(c net.Conn) {
	c.Close()
	s.task.Page.Conns.Add(-1)
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// serve returns when the connection is at its end.
func (s *Server) serve(c net.Conn) {
	switch s.task.Mode {
	case contest.Echo, contest.EchoTLS, contest.EchoUnix:
		echo(c)
	case contest.Receive, contest.ReceiveBuffered:
		receive(c, s.task.Page)
	case contest.SendFile:
		sendFile(c, s.file, int64(s.task.Size))
	case contest.Relay:
		relay(c, s.task.Target)
	case contest.Send:
		send(c)
	case contest.Pipes:
		pipes(c)
	}
}

func echo(c net.Conn) {
	buf := make([]byte, contest.BlockSize)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

func receive(c net.Conn, page *contest.Page) {
	buf, sink := make([]byte, contest.BlockSize), contest.NewSink(page)
	sink.From(c.RemoteAddr())
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		sink.Take(buf[:n])
	}
}

// send needs no second goroutine for the credit that comes while it writes:
// the bench gives more before the last is used up, and the kernel keeps it.
func send(c net.Conn) {
	credit, pos := make([]byte, 512), int64(0)
	for {
		n, err := c.Read(credit)
		if err != nil && !errors.Is(err, io.EOF) || n == 0 {
			return
		}
		for range n {
			if _, err := c.Write(contest.Pattern(pos, contest.BlockSize)); err != nil {
				return
			}
			pos += contest.BlockSize
		}
	}
}
