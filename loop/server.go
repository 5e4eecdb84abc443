package loop

import (
	"context"
	"iter"
	"math"
	"net"
	"os"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// ServerOptions configure a server. The zero value is ready to use.
type ServerOptions struct {
	// Network is "tcp4" or "tcp6" for addresses of that family alone, or "" or
	// "tcp". It has no effect on Sock.
	//
	// For Unix sockets it is "unixpacket" for sockets that keep the bounds of messages
	// (SOCK_SEQPACKET, unix(7)), and anything else for streams. Then each DataReceived
	// or BufferUpdated is exactly one message of the peer, and each Write, as each line
	// of WriteLines, is one message. An empty Write sends nothing, because an empty
	// message is the end of input: EOFReceived. A message that is longer than the
	// socket's send buffer allows, some 200 KiB as a rule, is refused by Write with
	// EMSGSIZE. One that is longer than the loop's receive buffers, 64 KiB unless
	// BufferOptions.Size says otherwise, or than the slice of GetBuffer ends the
	// connection with a *transport.TruncatedError. Sock must be of that kind, and TLS is
	// ErrPacketsTLS.
	Network string

	// Addrs are more addresses to listen on, beside the one given to
	// CreateServer. Port 0 stands for the same port on all of them.
	Addrs []string

	// Sock is a bound stream socket to listen on instead of an address, which
	// must then be "". It is duplicated and closed. Others may listen on the same
	// socket, another process say: Server.Close leaves it to them. What belongs to
	// the socket they share too: it becomes non-blocking, and its queue has the
	// length that the last one asked for.
	Sock *os.File

	// Backlog is the length of the accept queue; 0 means 4096, which the kernel
	// bounds by net.core.somaxconn. ErrBadOption where it, or another number here,
	// is negative. Durations and sizes may be as large as their types allow.
	Backlog int

	// ReusePort sets SO_REUSEPORT: several loops may listen on one address, and
	// the kernel spreads the connections.
	ReusePort bool

	// NoReuseAddress leaves SO_REUSEADDR off. It is on by default, so that a
	// server can be started again at once.
	NoReuseAddress bool

	// ReuseAddress is on in any case unless NoReuseAddress is set.
	ReuseAddress bool

	// KeepAlive sets SO_KEEPALIVE on accepted connections.
	KeepAlive bool

	// DeferServing binds, but does not listen before StartServing or
	// ServeForever is called.
	DeferServing bool

	// TLS makes every connection begin with a TLS handshake, in which the loop is the
	// server; nil: no TLS. The options are copied and checked at once. The factory is
	// called, and the protocol sees ConnectionMade, after the handshake.
	TLS *TLSOptions

	// CloseTimeout bounds how long a closing connection may take to flush;
	// ConnectionLost then gets transport.ErrCloseTimeout. 0: no bound.
	CloseTimeout time.Duration

	// IdleTimeout ends a connection on which nothing moved for that long, up to
	// twice as long, with transport.ErrIdleTimeout. 0: never.
	IdleTimeout time.Duration

	// MaxConns bounds the connections open at once; whoever comes beyond is
	// closed at once. 0: no bound.
	MaxConns int

	// WriteCap bounds the bytes buffered for one connection, beyond which
	// writes return transport.ErrBufferFull. 0: no bound.
	WriteCap int
}

// Server is a set of listening sockets and the connections accepted on them.
//
//	deferred --StartServing--> serving --Close--> closed --connections gone--> drained
//	deferred ---------------------------Close--> closed
//
// What its methods do to the server, they do on the loop's goroutine: those that may be
// called from others too wait for the loop's next round there.
type Server struct {
	loop    *Loop
	factory protocol.Factory
	opts    UnixServerOptions // of a TCP server: the ServerOptions alone
	addrs   []net.Addr
	kind    proactor.Kind // of the sockets
	made    *origin       // in debug mode: by whom

	// What follows belongs to the loop's goroutine.

	acceptors []*fdio.Acceptor // open ones
	file      *socketFile      // to remove at Close, or nil
	serving   bool
	closed    bool
	leaving   bool // Shutdown: whoever still comes is turned away
	forever   bool // ServeForever runs
	conns     int
	onClosed  []func() // the listeners are gone
	onDrained []func() // the connections too
}

// CreateServer listens on addr, "host:port", and has factory make the protocol
// of each connection. An empty host means all interfaces, IPv4 and IPv6; a name
// stands for all its addresses; port 0 for one free port on all of them.
// A port that is in use is tried for a quarter of a second, because after the
// end of a process that used io_uring the kernel takes some 20 ms to let go of
// it (measured on Linux 6.1 to 7.3).
//
// CreateServer may be called from any goroutine except the loop's.
//
// Errors: *net.OpError with EADDRINUSE, EADDRNOTAVAIL, EACCES …; *net.DNSError;
// ErrNoAddress; net.UnknownNetworkError; transport.ErrNilProtocol without a factory;
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
	if b := l.newBinding(ctx, factory, unix, done); b != nil {
		b.start(addr)
	}
}

// newBinding calls done and returns nil where there is no factory or the options are
// wrong.
func (l *Loop) newBinding(ctx context.Context, factory protocol.Factory,
	opts *UnixServerOptions, done func(*Server, error)) *binding {
	s := &Server{loop: l, factory: factory, made: l.originHere()}
	if opts != nil {
		s.opts = *opts
	}
	s.opts.TLS = s.opts.TLS.copy()
	if s.opts.Backlog == 0 {
		s.opts.Backlog = 4096
	}
	s.opts.Backlog = min(s.opts.Backlog, math.MaxInt32) // an int of C
	s.kind = kindOf(s.opts.Network)
	err := s.opts.check()
	if err == nil {
		err = checkKind(s.kind, s.opts.TLS)
	}
	if factory == nil {
		err = transport.ErrNilProtocol
	}
	if err != nil {
		done(nil, err)
		return nil
	}
	return &binding{server: s, ctx: ctx, done: done}
}

// Addrs are the addresses that the server was bound to, also after Close. It may be
// called from any goroutine.
func (s *Server) Addrs() []net.Addr { return s.addrs }

// Sockets returns the descriptors that listen, none after Close. It is for the
// loop's goroutine. The descriptors are the server's, but may be duplicated, for
// example for a process that takes over: once they were asked for, Close treats the
// sockets as it does ServerOptions.Sock.
func (s *Server) Sockets() []int {
	s.loop.check()
	var fds []int
	if !s.closed {
		for _, a := range s.acceptors {
			a.Share()
			fds = append(fds, a.FD())
		}
	}
	return fds
}

// Loop is the server's loop. It may be called from any goroutine.
func (s *Server) Loop() *Loop { return s.loop }

// IsServing reports whether the server accepts connections. It may be called from any
// goroutine.
func (s *Server) IsServing() bool {
	serving := false
	s.loop.onLoopNow(func() { serving = s.serving })
	return serving
}

// StartServing begins to accept where DeferServing put that off. It may be called from
// any goroutine.
//
// Errors: ErrServerClosed, or an error of listen such as EADDRINUSE.
func (s *Server) StartServing() error {
	var err error
	s.loop.onLoopNow(func() { err = s.start() })
	return err
}

func (s *Server) start() error {
	if s.closed {
		return ErrServerClosed
	}
	for i, a := range s.acceptors {
		if err := a.Start(); err != nil {
			return listenError(s.addrs[i], err)
		}
	}
	s.serving = true
	return nil
}

// PauseAccepting leaves whoever connects in the kernel's queue, until ResumeAccepting:
// so the clients of a server that is busy notice it. A few connections that the
// kernel has already accepted may still come. When the queue is full, the kernel turns
// clients away (listen(2)). It may be called before the server serves, and from any
// goroutine.
func (s *Server) PauseAccepting() { s.loop.onLoopNow(func() { s.pauseAccepting(true) }) }

// ResumeAccepting undoes PauseAccepting. It may be called from any goroutine.
func (s *Server) ResumeAccepting() { s.loop.onLoopNow(func() { s.pauseAccepting(false) }) }

func (s *Server) pauseAccepting(on bool) {
	for _, a := range s.acceptors {
		a.Pause(on)
	}
}

// Close stops accepting at once; connections stay open. Connections that the
// kernel had accepted and the loop had not are closed. It is idempotent and
// does not wait.
//
// A socket that others may share, ServerOptions.Sock or one of Sockets, is closed but
// not shut down: who connects waits in its queue for the others, and is refused, in a
// moment, if there are none. A client whom the engine has accepted in that same moment
// is served still. Close may be called from any goroutine.
func (s *Server) Close() { s.loop.onLoopNow(s.close) }

func (s *Server) close() {
	if s.closed {
		return
	}
	s.closed, s.serving = true, false
	s.removeFile()
	for _, a := range s.acceptors {
		a.Close(func() { s.unlisten(a) })
	}
	s.checkDrained()
}

// unlisten forgets a listener that is closed.
func (s *Server) unlisten(gone *fdio.Acceptor) {
	for i, a := range s.acceptors {
		if a == gone {
			s.acceptors = append(s.acceptors[:i:i], s.acceptors[i+1:]...)
			break
		}
	}
	s.checkDrained()
}

// checkDrained tells whoever waits for the listeners or the connections to go.
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

// CloseClients closes every connection of the server as its Close does. It may be
// called from any goroutine.
func (s *Server) CloseClients() {
	s.loop.onLoopNow(s.closeClients)
}

func (s *Server) closeClients() {
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
	for c := range s.streams() {
		topOf(c).Abort()
	}
}

// Conns are the open connections: those with TLS after their handshake, as the
// TLS transports. It is for the loop's goroutine; they may be closed meanwhile.
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

// accepted makes a connection of an accepted descriptor.
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
		CloseTimeout: s.opts.CloseTimeout}, family, s.kind)
	s.loop.noteNew(c, s.made)
	c.Start()
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
