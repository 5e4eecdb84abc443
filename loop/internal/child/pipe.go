package child

import (
	"net"
	"os"
	"syscall"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// pipe is the protocol of one of a child's pipes: it forwards to the child's
// protocol.
type pipe struct {
	protocol.Base
	child     *Child
	fd        int
	transport transport.BaseTransport
	lost      bool
	dropped   bool // output was dropped, because nobody will read it
}

// DataReceived implements protocol.Protocol.
func (p *pipe) DataReceived(data []byte) {
	if p.child.tells() {
		p.child.pipeDataReceived(p.fd, data)
	}
}

// PauseWriting implements transport.BaseProtocol.
func (p *pipe) PauseWriting() {
	if p.child.tells() {
		p.child.guard.PauseWriting()
	}
}

// ResumeWriting implements transport.BaseProtocol.
func (p *pipe) ResumeWriting() {
	if p.child.tells() {
		p.child.guard.ResumeWriting()
	}
}

// ConnectionLost implements transport.BaseProtocol.
func (p *pipe) ConnectionLost(err error) {
	c := p.child
	p.lost = true
	c.open--
	if err == nil && p.dropped {
		err = &net.OpError{Op: "write", Net: "pipe",
			Err: os.NewSyscallError("write", syscall.EPIPE)}
	}
	if c.tells() {
		c.pipeConnectionLost(p.fd, err)
	}
	c.checkOver()
}

// drop ends the pipe to the child's input and records whether anything was lost by
// that.
func (p *pipe) drop() {
	w := p.transport.(transport.WriteTransport)
	p.dropped = w.WriteBufferSize() > 0
	w.Abort()
}
