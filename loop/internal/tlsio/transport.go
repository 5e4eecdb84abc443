package tlsio

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/transport"
)

// state is the state of a TLS transport.
//
//	handshaking --done--> open --Close | EOF--> closing --all encrypted--> notified
//	notified --the peer's close_notify | EOF | timeout--> the transport below closes
//	any --Abort | error--> lost
//	any --ConnectionLost of the transport below | Abandon--> gone
//
// closing: nothing is received any more; the plaintext drains. notified: our
// close_notify has been written, and the peer's is waited for, unless it came
// before. lost: the transport below was told to end. gone: ConnectionLost was
// called, or the loop is closed.
type state uint8

const (
	handshaking state = iota
	open
	closing
	notified
	lost
	gone
)

var stateNames = [...]string{"handshaking", "open", "closing", "notified", "lost", "closed"}

// String returns the state's name.
func (s state) String() string { return stateNames[s] }

// Transport is a transport that runs TLS over another transport. Its methods are
// those of transport.Transport, as documented there, and a few more.
type Transport struct {
	host        Host
	guard       guard.Guard
	config      *Config
	raw         transport.Transport // below
	conn        *tls.Conn
	bio         bio
	negotiation *negotiation // nil when the handshake is over
	state       state
	err         error // why it was lost

	// Reading.
	held     []byte // ciphertext that arrived while it could not be used
	readErr  error  // from crypto/tls, to be delivered
	lent     []byte // what GetBuffer returned, until BufferUpdated
	limits   *transport.Limits
	peek     byte // the first byte of plaintext that is there
	peeked   bool
	paused   bool // by the application
	eof      bool // EOFReceived was called
	peerDone bool // the peer will send no more
	notice   bool // the peer said so with close_notify

	// Writing.
	flow        transport.FlowControl
	backlog     backlog
	rawPaused   bool // the transport below takes no more for now
	lowMarksSet bool // its marks equal our low one, to learn when it gets there
	inherited   int  // bytes that it had before it was ours
	emptied     bool // it has sent our close_notify

	handshakeOK bool // the handshake succeeded
	made        bool // ConnectionMade was called, or is the transport's below
	soon        bool // RunTask is due
	timer       guard.Timer
	close       guard.Timer // of CloseTimeout
}

var (
	_ transport.Transport   = (*Transport)(nil)
	_ transport.OwnedWriter = (*Transport)(nil)
)

// The errors of configurations.
var (
	// ErrNoConfig: there is no tls.Config.
	ErrNoConfig = errors.New("loop: no tls.Config")

	// ErrNoCertificate: a server's tls.Config has no certificate and no function
	// that returns one.
	ErrNoCertificate = errors.New("loop: a server's tls.Config needs Certificates, " +
		"GetCertificate or GetConfigForClient")

	// ErrNoServerName: a client's tls.Config names no server and does not set
	// InsecureSkipVerify.
	ErrNoServerName = errors.New("loop: a TLS client needs a ServerName")

	// ErrRenegotiation: renegotiation of TLS 1.2 was asked for. It would be a
	// second handshake, in the middle of the data.
	ErrRenegotiation = errors.New("loop: TLS renegotiation is not supported")

	// ErrTimeout: a timeout is negative.
	ErrTimeout = errors.New("loop: a TLS timeout is negative")
)

// Check returns an error if no transport can be made of c. It tests for what would
// otherwise fail in each handshake.
func (c *Config) Check() error {
	t := c.TLS
	switch {
	case t == nil:
		return ErrNoConfig
	case c.HandshakeTimeout < 0 || c.ShutdownTimeout < 0 || c.CloseTimeout < 0:
		return ErrTimeout
	case t.Renegotiation != tls.RenegotiateNever:
		return ErrRenegotiation
	case c.Server && len(t.Certificates) == 0 && t.GetCertificate == nil &&
		t.GetConfigForClient == nil:
		return ErrNoCertificate
	case !c.Server && t.ServerName == "" && !t.InsecureSkipVerify:
		return ErrNoServerName
	}
	return nil
}

// New returns a TLS transport that is not yet on top of any other; see Lower. The
// Config must have passed its Check and belongs to the transport from now on.
func New(host Host, c *Config) *Transport {
	if c.HandshakeTimeout == 0 {
		c.HandshakeTimeout = DefaultHandshakeTimeout
	}
	t := &Transport{host: host, config: c, made: c.Upgrade}
	t.guard.Init(host, t)
	t.bio.t = t
	t.held = append(t.held, c.Prefix...)
	c.Prefix = nil
	_, _ = t.flow.SetLimits(DefaultLimits)
	if c.Server {
		t.conn = tls.Server(&t.bio, c.TLS)
	} else {
		t.conn = tls.Client(&t.bio, c.TLS)
	}
	if c.Protocol != nil {
		t.adopt(c.Protocol)
	}
	return t
}

// move makes a transition and asserts that the state machine has it.
func (t *Transport) move(to state) {
	if to <= t.state {
		panic(fmt.Sprintf("tlsio: from %v to %v", t.state, to))
	}
	t.state = to
}

// schedule makes the loop call RunTask in the next round.
func (t *Transport) schedule() {
	if !t.soon {
		t.soon = true
		t.host.Soon(t)
	}
}

// RunTask does what must not be done from inside a user's call. The host calls it.
func (t *Transport) RunTask() {
	t.soon = false
	t.guard.RunReleases()
	if t.state >= lost || t.state == open && t.raw.IsClosing() {
		return
	}
	t.drain()
	t.settle()
	t.digestHeld()
	t.regulate()
}

// IsClosing implements transport.BaseTransport.
func (t *Transport) IsClosing() bool {
	return t.state > open || t.raw != nil && t.raw.IsClosing()
}

// Established reports whether the handshake is over and the transport is not gone.
func (t *Transport) Established() bool { return t.state > handshaking && t.state < lost }

// HandshakeOK reports whether the handshake has succeeded, whatever happened to the
// connection afterwards.
func (t *Transport) HandshakeOK() bool { return t.handshakeOK }

// Protocol implements transport.BaseTransport.
func (t *Transport) Protocol() transport.BaseProtocol { return t.guard.Protocol() }

// SetProtocol implements transport.BaseTransport.
func (t *Transport) SetProtocol(p transport.BaseProtocol) error {
	t.host.Check()
	if err := guard.CheckProtocol(p); err != nil {
		return err
	}
	if t.state == gone {
		return transport.ErrClosed
	}
	t.adopt(p)
	return nil
}

// adopt makes p the protocol.
func (t *Transport) adopt(p transport.BaseProtocol) {
	t.guard.Adopt(p)
	t.lent = nil
}

// Underlying returns the transport below, for inspection only.
func (t *Transport) Underlying() transport.Transport { return t.raw }

// String describes the transport as asyncio's repr does.
func (t *Transport) String() string {
	read, write := "idle", "idle"
	if t.IsReading() {
		read = "polling"
	}
	if t.WriteBufferSize() > 0 {
		write = "polling"
	}
	return fmt.Sprintf("<TLS %s read=%s write=<%s, bufsize=%d> over %v>",
		t.state, read, write, t.WriteBufferSize(), t.raw)
}
