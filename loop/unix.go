package loop

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/opener"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// UnixServerOptions configure a server of Unix sockets. Of the embedded ServerOptions it
// does not use those that concern addresses and TCP: ReusePort,
// NoReuseAddress and KeepAlive; Addrs is refused. The zero value is ready to use.
type UnixServerOptions struct {
	ServerOptions

	// Mode is the permissions of the socket's file, set before anybody can connect;
	// who may write to it may connect (unix(7)). 0 leaves them to the umask. It has
	// no effect on abstract names and on Sock.
	Mode fs.FileMode

	// ProbeSocket makes CreateUnixServer connect to a socket file that is in the
	// way, and fail with EADDRINUSE if somebody serves there, instead of taking
	// the name away from a live server. It tries for a quarter of a second, in which
	// a process that was killed may still count as serving. A live server sees
	// connections that are closed at once.
	ProbeSocket bool

	// NoCleanupSocket keeps Close from removing the socket's file. See
	// CreateUnixServer.
	NoCleanupSocket bool
}

// CreateUnixServer listens on the Unix stream socket at path and has factory make
// the protocol of each connection. With Network "unixpacket" it is a socket of messages:
// see ServerOptions.Network. A path that begins with '@', or with a zero
// byte, is an abstract name, which has no file; a file whose name begins with '@'
// is "./@name".
//
// A socket file that is at path already is removed first, also that of a server
// that still runs: see UnixServerOptions.ProbeSocket. Any other kind of file, a
// symbolic link to a socket included, is left alone; that is EADDRINUSE. The owner
// of the new file is who the process runs as, its permissions are
// UnixServerOptions.Mode or what the umask leaves.
//
// Close removes the file, unless UnixServerOptions.NoCleanupSocket forbids it or the
// file at path is not this server's any more; Loop.Shutdown closes servers, but
// Loop.Close alone leaves the file. Where Close cannot remove the file the
// exception handler is told.
//
// With Sock, a bound Unix socket of that kind, path must be "". Close removes its file as
// well, as asyncio does: set NoCleanupSocket where others go on listening.
//
// Peers have no name as a rule: "peername" is then a *net.UnixAddr without one.
// transport.PeerCred says who they are.
//
// CreateUnixServer may be called from any goroutine except the loop's.
//
// Errors: *net.OpError with ENAMETOOLONG beyond 107 bytes (108 with the '@' of an
// abstract name), EADDRINUSE, EACCES, ENOENT, EINVAL for "" and for a zero byte
// within the path of a file; ErrNotUnix, ErrNotStream and ErrNotSeqPacket, in a
// *net.OpError, for another kind of Sock; ErrPacketsTLS; transport.ErrNilProtocol without
// a factory; ErrOnLoop.
func (l *Loop) CreateUnixServer(ctx context.Context, factory protocol.Factory, path string,
	opts *UnixServerOptions) (*Server, error) {
	return block(ctx, l, func(done func(*Server, error)) {
		l.CreateUnixServerFunc(ctx, factory, path, opts, done)
	})
}

// CreateUnixServerFunc is CreateUnixServer for the loop's goroutine: done is
// called on it, once, possibly before CreateUnixServerFunc returns.
func (l *Loop) CreateUnixServerFunc(ctx context.Context, factory protocol.Factory,
	path string, opts *UnixServerOptions, done func(*Server, error)) {
	l.check()
	b := l.newBinding(ctx, factory, opts, done)
	switch {
	case b == nil:
	case b.server.opts.Sock != nil:
		b.adopt(path, true)
	case len(b.server.opts.Addrs) > 0:
		b.fail(errors.New("loop: ServerOptions.Addrs is not for Unix servers"))
	default:
		b.startUnix(path)
	}
}

// CreateUnixConnection connects to the Unix stream socket at path, or of an
// abstract name as CreateUnixServer has it, and makes a transport for p. It
// returns after ConnectionMade has; data may have been received by then. Where
// the server's queue is full it waits for room.
//
// When ctx ends first, the attempt is given up and nothing is left of it; a
// transport whose ConnectionMade has been called is returned in any case.
//
// With Network "unixpacket" it is a connection of messages: see ServerOptions.Network.
// With ConnectionOptions.Sock, a connected Unix socket of that kind, path must be "".
// LocalAddr is refused: the client's end has no name.
//
// CreateUnixConnection may be called from any goroutine except the loop's.
//
// Errors: *net.OpError with ENOENT, ECONNREFUSED where nobody listens, EACCES,
// ENAMETOOLONG, EPROTOTYPE for a datagram socket, EINVAL as in CreateUnixServer;
// ErrNotUnix, ErrNotStream and ErrNotSeqPacket, in a *net.OpError, for another kind of
// Sock; ErrPacketsTLS; ctx's; transport.ErrNilProtocol; ErrOnLoop.
func (l *Loop) CreateUnixConnection(ctx context.Context, p protocol.Protocol, path string,
	opts *ConnectionOptions) (transport.Transport, error) {
	return block(ctx, l, func(done func(transport.Transport, error)) {
		l.CreateUnixConnectionFunc(ctx, p, path, opts, done)
	})
}

// CreateUnixConnectionFunc is CreateUnixConnection for the loop's goroutine: done
// is called on it, once, possibly before CreateUnixConnectionFunc returns.
func (l *Loop) CreateUnixConnectionFunc(ctx context.Context, p protocol.Protocol,
	path string, opts *ConnectionOptions, done func(transport.Transport, error)) {
	l.check()
	d := l.newDial(ctx, p, opts, done)
	switch {
	case d == nil:
	case !d.nameServer(""):
	case d.opts.Sock != nil:
		d.adopt(path, true)
	case d.opts.LocalAddr != "":
		done(nil, errors.New("loop: ConnectionOptions.LocalAddr is not for Unix sockets"))
	default:
		d.startUnix(path)
	}
}

func unixAddr(path string, kind proactor.Kind) net.Addr {
	return fdio.NetAddr(transport.Addr{Path: path}, proactor.Unix, kind)
}

// kindOf is the kind of Unix socket that a Network option asks for.
func kindOf(network string) proactor.Kind {
	if network == "unixpacket" {
		return proactor.SeqPacket
	}
	return proactor.Stream
}

// checkKind says whether a connection of a kind can have TLS, where that is asked for.
func checkKind(kind proactor.Kind, tls *TLSOptions) error {
	if kind == proactor.SeqPacket && tls != nil {
		return ErrPacketsTLS
	}
	return nil
}

// retryDelay is how long a client waits where the server's queue is full. The
// kernel has no event for its having room.
const retryDelay = 10 * time.Millisecond

// startUnix begins to connect to path.
func (d *dial) startUnix(path string) {
	name, err := opener.UnixName(path)
	if err != nil {
		d.done(nil, dialError(unixAddr(path, d.kind), os.NewSyscallError("connect", err)))
		return
	}
	d.path = name
	if d.enlist() {
		d.tryConnect()
	}
}

// tryConnect makes an attempt.
func (d *dial) tryConnect() {
	fd, err := d.loop.engine.Socket(proactor.Unix, d.kind)
	if err != nil {
		d.errs = append(d.errs, dialError(unixAddr(d.path, d.kind), err))
		d.finish()
		return
	}
	var c *fdio.Connector
	c = fdio.NewConnector((*host)(d.loop), fd, transport.Addr{Path: d.path},
		func(errno syscall.Errno) { d.tried(c, fd, errno) })
	d.attempts = append(d.attempts, c)
}

// tried takes the end of an attempt, and makes another if the queue was full.
func (d *dial) tried(c *fdio.Connector, fd int, errno syscall.Errno) {
	if errno == syscall.EAGAIN && !d.settling {
		d.attempts = nil
		d.timer = d.loop.CallLater(retryDelay, d.tryConnect)
		return
	}
	d.attempted(c, fd, proactor.Unix, unixAddr(d.path, d.kind), errno)
}
