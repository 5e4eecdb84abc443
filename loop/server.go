package loop

import (
	"context"
	"iter"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/opener"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// ServerOptions configure a server. The zero value is ready to use.
type ServerOptions struct {
	// Network is "tcp4" or "tcp6" to use only addresses of that family, or "tcp" or "" to
	// use both. It has no effect on Sock.
	//
	// For Unix sockets, "unixpacket" means sockets that preserve message boundaries
	// (SOCK_SEQPACKET, unix(7)); anything else means stream sockets. With "unixpacket",
	// each DataReceived or BufferUpdated is exactly one message from the peer, and each
	// Write, like each line of WriteLines, sends one message. An empty Write sends
	// nothing, because an empty message means the end of input: EOFReceived. Write
	// refuses a message that is longer than the socket's send buffer allows, usually some
	// 200 KiB, with EMSGSIZE. A message from the peer that is longer than the loop's
	// receive buffers, 64 KiB unless BufferOptions.Size says otherwise, or than the slice
	// that GetBuffer returned, ends the connection with a *transport.TruncatedError. Sock
	// must be of the same kind, and TLS fails with ErrPacketsTLS.
	Network string

	// Addrs are additional addresses to listen on, besides the one given to CreateServer.
	// Port 0 means the same port on all of them.
	Addrs []string

	// Sock is a bound stream socket to listen on instead of an address; the address must
	// then be "". The loop duplicates Sock and closes it. Others, for example another
	// process, may listen on the same socket: Server.Close leaves it to them. They also
	// share the state of the socket: it becomes non-blocking, and its queue has the
	// length that was asked for last.
	Sock *os.File

	// Backlog is the length of the accept queue; 0 means 4096. The kernel limits it to
	// net.core.somaxconn. If it or another number in these options is negative, the error
	// is ErrBadOption. Durations and sizes may be as large as their types allow.
	Backlog int

	// ReusePort sets SO_REUSEPORT: several loops may listen on one address, and the
	// kernel distributes the connections among them. All of them have to set it, or the
	// second one gets EADDRINUSE. With port 0 each would get a port of its own.
	ReusePort bool

	// NoReuseAddress leaves SO_REUSEADDR off. It is on by default, so that a server can
	// be restarted at once.
	NoReuseAddress bool

	// KeepAlive sets SO_KEEPALIVE on accepted connections.
	KeepAlive bool

	// DeferServing makes the server bind, but not listen until StartServing or
	// ServeForever is called.
	DeferServing bool

	// TLS makes every connection begin with a TLS handshake, in which the loop is the
	// server; nil means no TLS. The options are copied and checked at once. The factory
	// is called, and the protocol sees ConnectionMade, after the handshake.
	TLS *TLSOptions

	// CloseTimeout limits how long a closing connection may take to flush; after that
	// ConnectionLost gets transport.ErrCloseTimeout. 0 means no limit.
	CloseTimeout time.Duration

	// IdleTimeout ends a connection on which no data has moved for that long, or at most
	// twice as long, with transport.ErrIdleTimeout. 0 means never.
	IdleTimeout time.Duration

	// MaxConns limits the number of connections open at a time; any further connection is
	// closed at once. 0 means no limit.
	MaxConns int

	// WriteCap limits the bytes buffered for one connection; beyond it, writes return
	// transport.ErrBufferFull. 0 means no limit.
	WriteCap int
}

// Server is a set of listening sockets and the connections accepted on them.
//
//	deferred --StartServing--> serving --Close--> closed --connections gone--> drained
//	deferred ---------------------------Close--> closed
//
// Its methods do their work on the loop's goroutine: one that is called from another
// goroutine waits for the loop's next round.
type Server struct {
	loop    *Loop
	factory protocol.Factory
	opts    UnixServerOptions // a TCP server uses only the ServerOptions
	addrs   []net.Addr
	kind    proactor.Kind // of the sockets
	made    *origin       // where, in debug mode

	// What follows belongs to the loop's goroutine.

	acceptors []*fdio.Acceptor // the open ones
	local     localName
	sockets   opener.Listeners // at first
	serving   bool
	closed    bool
	leaving   bool // Shutdown was called: new connections are closed
	forever   bool // ServeForever runs
	conns     int
	onClosed  []func() // called when the listeners are gone
	onDrained []func() // called when the connections are gone, too
}

// CreateServer listens on addr, "host:port", and calls factory to make the protocol of
// each connection. An empty host means all interfaces, IPv4 and IPv6; a name means all
// its addresses; port 0 means one free port on all of them. If a port is in use,
// CreateServer retries for a quarter of a second, because after the end of a process that
// used io_uring the kernel takes some 20 ms to release its ports (measured on Linux 6.1
// to 7.3).
//
// CreateServer may be called from any goroutine except the loop's.
//
// Errors: *net.OpError with EADDRINUSE, EADDRNOTAVAIL, EACCES …; *net.DNSError;
// ErrNoAddress; net.UnknownNetworkError; transport.ErrNilProtocol if factory is nil;
// ErrBadOption; ErrOnLoop.
func (l *Loop) CreateServer(ctx context.Context, factory protocol.Factory, addr string,
	opts *ServerOptions) (*Server, error) {
	return block(ctx, l, func(done func(*Server, error)) {
		l.CreateServerFunc(ctx, factory, addr, opts, done)
	})
}

// CreateServerFunc is CreateServer for the loop's goroutine: done is called on
// it, once, possibly before CreateServerFunc returns.
func (l *Loop) CreateServerFunc(ctx context.Context, factory protocol.Factory, addr string,
	opts *ServerOptions, done func(*Server, error)) {
	l.check()
	unix := &UnixServerOptions{}
	if opts != nil {
		unix.ServerOptions = *opts
	}
	if s := l.newServer(factory, unix, done); s != nil {
		opener.Listen(ctx, (*host)(l), addr, s.opts.listen(), s.opened(done))
	}
}

// Addrs returns the addresses that the server is bound to, even after Close. It may be
// called from any goroutine.
func (s *Server) Addrs() []net.Addr { return s.addrs }

// Sockets returns the listening descriptors, none after Close or Loop.Close. It is for the loop's
// goroutine. The descriptors belong to the server, but may be duplicated, for example for
// a process that takes over. After a call to Sockets, Close treats the sockets like
// ServerOptions.Sock.
func (s *Server) Sockets() []int {
	s.loop.check()
	var fds []int
	if !s.closed && !s.loop.isClosed() {
		for _, a := range s.acceptors {
			a.Share()
			fds = append(fds, a.FD())
		}
	}
	return fds
}

// Loop returns the server's loop. It may be called from any goroutine.
func (s *Server) Loop() *Loop { return s.loop }

// IsServing reports whether the server accepts connections. It may be called from any
// goroutine.
func (s *Server) IsServing() bool {
	serving := false
	s.loop.onLoopNow(func() { serving = s.serving && !s.loop.isClosed() })
	return serving
}

// StartServing begins to accept connections on a server made with DeferServing. It may be
// called from any goroutine.
//
// Errors: ErrServerClosed, ErrLoopClosed, or an error from listen(2) such as EADDRINUSE. If
// one of several addresses fails, the server accepts on none, though clients may already
// wait in the queues of the others; call it again, or Close.
func (s *Server) StartServing() error {
	var err error
	s.loop.onLoopNow(func() { err = s.start() })
	return err
}

func (s *Server) start() error {
	if s.closed {
		return ErrServerClosed
	}
	if s.loop.isClosed() {
		return ErrLoopClosed
	}
	if err := s.sockets.Listen((*host)(s.loop), s.opts.Backlog); err != nil {
		return err
	}
	s.accept()
	return nil
}

func (s *Server) accept() {
	for _, a := range s.acceptors {
		a.Start()
	}
	s.serving = true
}

// PauseAccepting leaves new connections in the kernel's queue until ResumeAccepting is
// called, so that a busy server takes on no more clients. A few connections that the
// kernel has already accepted may still come in. When the queue is full, the kernel turns
// clients away (listen(2)). PauseAccepting may be called before the server serves, and
// from any goroutine.
func (s *Server) PauseAccepting() { s.loop.onLoopNow(func() { s.pauseAccepting(true) }) }

// ResumeAccepting undoes PauseAccepting. It may be called from any goroutine.
func (s *Server) ResumeAccepting() { s.loop.onLoopNow(func() { s.pauseAccepting(false) }) }

func (s *Server) pauseAccepting(on bool) {
	if s.loop.isClosed() {
		return
	}
	for _, a := range s.acceptors {
		a.Pause(on)
	}
}

// Close stops accepting at once; open connections stay open. Connections that the kernel
// had accepted but the loop had not are closed. It is idempotent and does not wait for
// connections to end.
//
// A socket that others may share, from ServerOptions.Sock or returned by Sockets, is
// closed but not shut down: new clients wait in its queue for the others, and are refused
// a moment later if there are none. A client that the engine accepts at that very moment
// is still served. Close may be called from any goroutine.
func (s *Server) Close() { s.loop.onLoopNow(s.close) }

func (s *Server) close() {
	if s.closed {
		return
	}
	s.closed, s.serving = true, false
	s.sockets.File.Remove((*host)(s.loop))
	if s.loop.isClosed() {
		return // the listeners went with it, and their numbers may be others' by now
	}
	for _, a := range s.acceptors {
		a.Close(func() { s.unlisten(a) })
	}
	s.checkDrained()
}

// unlisten removes a listener that has been closed.
func (s *Server) unlisten(gone *fdio.Acceptor) {
	for i, a := range s.acceptors {
		if a == gone {
			s.acceptors = append(s.acceptors[:i:i], s.acceptors[i+1:]...)
			break
		}
	}
	s.checkDrained()
}

// checkDrained calls the functions that wait for the listeners or the connections to be
// gone.
func (s *Server) checkDrained() {
	if !s.closed || len(s.acceptors) > 0 {
		return
	}
	callAll(&s.onClosed)
	if s.conns == 0 {
		callAll(&s.onDrained)
		s.loop.remove(openServer{s})
	}
}

// callAll calls the functions and forgets them.
func callAll(fs *[]func()) {
	due := *fs
	*fs = nil
	for _, f := range due {
		f()
	}
}

// CloseClients closes every connection of the server, as the Close of its transport does.
// It may be called from any goroutine.
func (s *Server) CloseClients() {
	s.loop.onLoopNow(s.closeClients)
}

func (s *Server) closeClients() {
	if s.loop.isClosed() {
		return // and so are its connections
	}
	for c := range s.streams() {
		topOf(c).Close()
	}
}

// AbortClients aborts every connection of the server. It may be called from any
// goroutine.
func (s *Server) AbortClients() {
	s.loop.onLoopNow(s.abortClients)
}

func (s *Server) abortClients() {
	if s.loop.isClosed() {
		return // and so are its connections
	}
	for c := range s.streams() {
		topOf(c).Abort()
	}
}

// Conns iterates over the open connections; those with TLS are included after their
// handshake, as TLS transports. It is for the loop's goroutine; connections may be closed
// during the iteration.
func (s *Server) Conns() iter.Seq[transport.Transport] {
	s.loop.check()
	return func(yield func(transport.Transport) bool) {
		for c := range s.streams() {
			if t := topOf(c); established(t) && !yield(t) {
				return
			}
		}
	}
}

func (s *Server) streams() iter.Seq[fdio.Connection] {
	return func(yield func(fdio.Connection) bool) {
		for c := range s.loop.connections() {
			if c.Owner() == fdio.Owner((*clients)(s)) && !yield(c) {
				return
			}
		}
	}
}

// accepted makes a connection for an accepted descriptor.
func (s *Server) accepted(fd int, family proactor.Family) {
	late := s.leaving || s.loop.draining
	if late || s.opts.MaxConns > 0 && s.conns >= s.opts.MaxConns {
		s.loop.drop(fd)
		return
	}
	if s.opts.TLS != nil {
		s.acceptedTLS(fd, family)
		return
	}
	p, err := s.makeProtocol()
	if err != nil {
		s.loop.drop(fd)
		return
	}
	s.conns++
	c := s.loop.newConnection(fdio.Config{FD: fd, Protocol: p, Owner: (*clients)(s),
		WriteCap: s.opts.WriteCap, IdleTimeout: s.opts.IdleTimeout,
		CloseTimeout: s.opts.CloseTimeout}, family, s.kind, &s.local)
	s.loop.noteNew(c, s.made)
	c.Start()
}

// makeProtocol calls the user's factory.
func (l *Loop) makeProtocol(factory protocol.Factory) (p protocol.Protocol, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &protocol.PanicError{Callback: "factory", Value: r, Stack: debug.Stack()}
		}
	}()
	p = factory()
	if p == nil {
		return nil, transport.ErrNilProtocol
	}
	return p, nil
}

// makeProtocol calls the factory and reports its failure.
func (s *Server) makeProtocol() (protocol.Protocol, error) {
	p, err := s.loop.makeProtocol(s.factory)
	if err != nil {
		s.loop.report(Exception{
			Message: "Error on transport creation for incoming connection", Err: err})
	}
	return p, err
}

// clients is a server as its connections see it.
type clients Server

// Lost implements fdio.Owner.
func (c *clients) Lost(gone fdio.Transport) {
	s := (*Server)(c)
	s.conns--
	(*host)(s.loop).Lost(gone)
	s.checkDrained()
}
