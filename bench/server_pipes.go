package main

import (
	"context"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/subprocess"
	"github.com/sluice-net/sluice/transport"
)

// A piped is a connection that passes what comes through a child, cat(1), which copies
// its standard input to its standard output. It reads nothing before the child runs.
type piped struct {
	counted
	loop      *loop.Loop
	transport transport.Transport
	child     transport.SubprocessTransport
	input     transport.WriteTransport
}

func (p *piped) ConnectionMade(t transport.Transport) {
	p.transport = t
	p.counted.ConnectionMade(t)
	t.PauseReading()
	p.loop.SubprocessExecFunc(context.Background(), &catProtocol{of: p}, []string{"cat"},
		&subprocess.Options{Stderr: subprocess.Inherit},
		func(child transport.SubprocessTransport, err error) {
			if err != nil {
				t.Abort()
				return
			}
			p.child = child
			p.input = child.PipeTransport(0).(transport.WriteTransport)
			t.ResumeReading()
		})
}

func (p *piped) DataReceived(data []byte) { p.input.Write(data) }

func (p *piped) PauseWriting() {
	p.child.PipeTransport(1).(transport.ReadTransport).PauseReading()
}

func (p *piped) ResumeWriting() {
	p.child.PipeTransport(1).(transport.ReadTransport).ResumeReading()
}

func (p *piped) ConnectionLost(err error) {
	p.counted.ConnectionLost(err)
	if p.child != nil {
		p.child.Close()
	}
}

// A catProtocol has the child's end of a piped connection.
type catProtocol struct {
	protocol.SubprocessBase
	of *piped
}

func (c *catProtocol) PipeDataReceived(_ int, data []byte) { c.of.transport.Write(data) }
func (c *catProtocol) PauseWriting()                       { c.of.transport.PauseReading() }
func (c *catProtocol) ResumeWriting()                      { c.of.transport.ResumeReading() }
