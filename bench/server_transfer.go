package main

import (
	"context"
	"os"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/transport"
)

// fileSender answers each byte with size bytes of the pattern, by Sendfile.
type fileSender struct {
	counted
	loop      *loop.Loop
	file      *os.File
	size      int64
	transport transport.Transport
	pos       int64
}

func (p *fileSender) ConnectionMade(t transport.Transport) {
	p.transport = t
	p.counted.ConnectionMade(t)
}

func (p *fileSender) DataReceived(data []byte) {
	for range data {
		p.loop.SendfileFunc(context.Background(), p.transport, p.file, p.pos%contest.Period,
			p.size, sent)
		p.pos += p.size
	}
}

// sent has nothing to do: an error ends the connection.
func sent(int64, error) {}

// A pipe is one end of a proxied connection: what it receives, it writes to the
// other end. An end whose output is full stops the other one's input.
type pipe struct {
	counted
	transport transport.Transport
	other     *pipe
}

func (p *pipe) ConnectionMade(t transport.Transport) {
	p.transport = t
	p.counted.ConnectionMade(t)
}

func (p *pipe) DataReceived(data []byte) { p.other.transport.Write(data) }
func (p *pipe) PauseWriting()            { p.other.transport.PauseReading() }
func (p *pipe) ResumeWriting()           { p.other.transport.ResumeReading() }

func (p *pipe) EOFReceived() bool {
	p.other.transport.WriteEOF()
	return true
}

func (p *pipe) ConnectionLost(err error) {
	p.counted.ConnectionLost(err)
	if p.other.transport != nil {
		p.other.transport.Close()
	}
}

// An inlet is the end at the client: it connects to the target and reads nothing
// before that is done.
type inlet struct {
	pipe
	loop   *loop.Loop
	target string
}

func (p *inlet) ConnectionMade(t transport.Transport) {
	p.pipe.ConnectionMade(t)
	t.PauseReading()
	p.other = &pipe{counted: counted{page: p.page}, other: &p.pipe}
	p.loop.CreateConnectionFunc(context.Background(), p.other, p.target, nil,
		func(_ transport.Transport, err error) {
			if err != nil {
				t.Abort()
				return
			}
			t.ResumeReading()
		})
}
