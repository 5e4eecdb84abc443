package opener

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// retryDelay is how long a client waits before it retries if the server's queue is full.
// The kernel has no event that says when there is room.
const retryDelay = 10 * time.Millisecond

// ConnectUnix connects to the Unix socket at path, or adopts the socket in o. done may be
// called before ConnectUnix returns.
func ConnectUnix(ctx context.Context, host Host, path string, o ConnectOptions,
	done Connected) {
	d := newDial(ctx, host, o, done)
	switch {
	case o.Sock != nil:
		d.adopt(path, true)
	case o.LocalAddr != "":
		d.fail(errors.New("loop: ConnectionOptions.LocalAddr is not for Unix sockets"))
	default:
		d.startUnix(path)
	}
}

// startUnix begins to connect to path.
func (d *dial) startUnix(path string) {
	name, err := UnixName(path)
	if err != nil {
		d.fail(dialError(unixAddr(path, d.kind), os.NewSyscallError("connect", err)))
		return
	}
	d.path = name
	if d.enlist() {
		d.tryConnect()
	}
}

// tryConnect makes an attempt.
func (d *dial) tryConnect() {
	fd, err := d.host.Engine().Socket(proactor.Unix, d.kind)
	if err != nil {
		d.errs = append(d.errs, dialError(unixAddr(d.path, d.kind), err))
		d.finish()
		return
	}
	var c *fdio.Connector
	c = fdio.NewConnector(d.host.Engine(), fd, transport.Addr{Path: d.path},
		func(errno syscall.Errno) { d.tried(c, fd, errno) })
	d.attempts = append(d.attempts, c)
}

// tried handles the end of an attempt, and makes another if the queue was full.
func (d *dial) tried(c *fdio.Connector, fd int, errno syscall.Errno) {
	if errno == syscall.EAGAIN && !d.settling {
		d.attempts = nil
		d.timer = d.host.After(retryDelay, d.tryConnect)
		return
	}
	d.attempted(c, fd, proactor.Unix, unixAddr(d.path, d.kind), errno)
}
