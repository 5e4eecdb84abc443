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

// An outlet is the target's end of a proxied connection. The relay takes its place before
// anything is received.
type outlet struct{ counted }

func (outlet) DataReceived([]byte) {}

// An inlet is the client's end: it connects to the target, and then both are relayed.
type inlet struct {
	outlet
	loop   *loop.Loop
	target string
}

func (p *inlet) ConnectionMade(t transport.Transport) {
	p.counted.ConnectionMade(t)
	t.PauseReading()
	other := &outlet{counted{page: p.page}}
	p.loop.CreateConnectionFunc(context.Background(), other, p.target, nil,
		func(to transport.Transport, err error) {
			if err != nil {
				t.Abort()
				return
			}
			p.loop.RelayFunc(context.Background(), t, to, nil, func(_ loop.Relayed, err error) {
				p.ConnectionLost(err)
				other.ConnectionLost(err)
			})
		})
}
