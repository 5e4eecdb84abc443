package loop

import (
	"context"
	"io/fs"

	"github.com/sluice-net/sluice/loop/internal/opener"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// UnixServerOptions configure a server on a Unix socket. It does not use the embedded
// ServerOptions that concern addresses and TCP: ReusePort, NoReuseAddress and KeepAlive
// have no effect, and Addrs is refused. The zero value is ready to use.
type UnixServerOptions struct {
	ServerOptions

	// Mode is the permissions of the socket's file, which are set before anybody can
	// connect; whoever may write to the file may connect (unix(7)). 0 leaves the
	// permissions to the umask. Mode has no effect on abstract names and on Sock.
	Mode fs.FileMode

	// ProbeSocket makes CreateUnixServer connect to a socket file that already exists at
	// the path, and fail with EADDRINUSE if there is a server, instead of taking the name
	// away from a live server. It retries for a quarter of a second, during which a
	// process that was killed may still count as serving. A live server sees connections
	// that are closed at once.
	ProbeSocket bool

	// NoCleanupSocket keeps Close from removing the socket's file. See
	// CreateUnixServer.
	NoCleanupSocket bool
}

// CreateUnixServer listens on the Unix stream socket at path and calls factory to make
// the protocol of each connection. With Network "unixpacket" the socket carries messages;
// see ServerOptions.Network. A path that begins with '@', or with a zero byte, is an
// abstract name, which has no file; for a file whose name begins with '@', write
// "./@name".
//
// A socket file that already exists at path is removed first, even that of a server that
// is still running: see UnixServerOptions.ProbeSocket. Any other kind of file, including
// a symbolic link to a socket, is left alone, and the error is EADDRINUSE. The new file
// belongs to the user that the process runs as; its permissions are
// UnixServerOptions.Mode or what the umask leaves.
//
// Close removes the file, unless UnixServerOptions.NoCleanupSocket forbids it or the file
// at path is no longer this server's. Loop.Shutdown closes servers, but Loop.Close alone
// leaves the file. If Close cannot remove the file, the exception handler is called.
//
// Sock, if it is set, must be a bound Unix socket of that kind, and path must be "".
// Close removes its file as well, as asyncio does: set NoCleanupSocket if others go on
// listening.
//
// Peers usually have no name: "peername" is then a *net.UnixAddr without a name.
// transport.PeerCred says who they are.
//
// CreateUnixServer may be called from any goroutine except the loop's.
//
// Errors: *net.OpError with ENAMETOOLONG beyond 107 bytes (108 with the '@' of an
// abstract name), EADDRINUSE, EACCES, ENOENT, EINVAL for "" and for a zero byte within
// the path of a file; transport.ErrNotUnix, ErrNotStream and ErrNotSeqPacket, in a
// *net.OpError, for another kind of Sock; ErrPacketsTLS; transport.ErrNilProtocol if
// factory is nil; ErrOnLoop.
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
	if s := l.newServer(factory, opts, done); s != nil {
		opener.ListenUnix(ctx, (*host)(l), path, s.opts.listen(), s.opened(done))
	}
}

// CreateUnixConnection connects to the Unix stream socket at path, which may be an
// abstract name as in CreateUnixServer, and makes a transport for p. It returns after
// ConnectionMade has returned; p may have received data by then. If the server's queue is
// full, it waits for room.
//
// If ctx ends first, the attempt is given up and leaves nothing behind. A transport whose
// ConnectionMade has been called is returned in any case.
//
// With Network "unixpacket" the connection carries messages; see ServerOptions.Network.
// ConnectionOptions.Sock, if it is set, must be a connected Unix socket of that kind, and
// path must be "". LocalAddr is refused, because the client's end has no name.
//
// CreateUnixConnection may be called from any goroutine except the loop's.
//
// Errors: *net.OpError with ENOENT, ECONNREFUSED if nobody listens, EACCES, ENAMETOOLONG,
// EPROTOTYPE for a datagram socket, EINVAL as in CreateUnixServer; transport.ErrNotUnix,
// ErrNotStream and ErrNotSeqPacket, in a *net.OpError, for another kind of Sock;
// ErrPacketsTLS; ctx's error; transport.ErrNilProtocol; ErrOnLoop.
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
	if s := l.newSetup(ctx, p, "", opts, done); s != nil {
		opener.ConnectUnix(ctx, (*host)(l), path, s.opts.connect(), s.opened)
	}
}

// checkKind returns an error if TLS is asked for and a connection of that kind cannot
// have it.
func checkKind(kind proactor.Kind, tls *TLSOptions) error {
	if kind == proactor.SeqPacket && tls != nil {
		return ErrPacketsTLS
	}
	return nil
}
