package main

import (
	"context"
	"os"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// sluice is a contestant: this library on one of its engines.
type sluice struct {
	name   string
	engine loop.Engine
}

// Name returns the engine's name on the command line.
func (s sluice) Name() string { return s.name }

// Serves is true: the library does it all.
func (sluice) Serves(contest.Mode) bool { return true }

// Serve runs a loop until the process ends.
func (s sluice) Serve(task contest.Task, ready func(contest.Hello)) error {
	opts := loop.Options{Engine: s.engine}
	return opts.Run(context.Background(), func(ctx context.Context, l *loop.Loop) error {
		if task.Mode == contest.Datagrams {
			return serveDatagrams(ctx, l, ready)
		}
		protocols, err := factory(l, task)
		if err != nil {
			return err
		}
		var options loop.ServerOptions
		if task.Mode == contest.EchoTLS {
			config, err := contest.TLSServer()
			if err != nil {
				return err
			}
			options.TLS = &loop.TLSOptions{Config: config}
		}
		server, err := l.CreateServer(ctx, protocols, "127.0.0.1:0", &options)
		if err != nil {
			return err
		}
		ready(contest.Hello{Addr: server.Addrs()[0].String(), Note: l.Why()})
		return server.ServeForever(ctx)
	})
}

func factory(l *loop.Loop, task contest.Task) (protocol.Factory, error) {
	page := task.Page
	var file *os.File
	if task.Mode == contest.SendFile {
		var err error
		if file, err = contest.PatternFile(); err != nil {
			return nil, err
		}
	}
	all := &room{size: task.Size}
	return func() protocol.Protocol {
		switch counted := (counted{page: page}); task.Mode {
		case contest.Receive:
			return &receiver{counted: counted, sink: contest.NewSink(page)}
		case contest.ReceiveBuffered:
			p := &bufferedReceiver{counted: counted, sink: contest.NewSink(page), loop: l}
			return protocol.Buffered(p)
		case contest.SendFile:
			return &fileSender{counted: counted, loop: l, file: file,
				size: int64(task.Size)}
		case contest.Relay:
			return &inlet{outlet: outlet{counted}, loop: l, target: task.Target}
		case contest.FanOut:
			return &member{counted: counted, room: all}
		case contest.Send:
			return &sender{counted: counted}
		default:
			return &echo{counted: counted}
		}
	}, nil
}

// counted tells the page how many connections there are.
type counted struct {
	protocol.Base
	page *contest.Page
}

func (c *counted) ConnectionMade(transport.Transport) { c.page.Conns.Add(1) }
func (c *counted) ConnectionLost(error)               { c.page.Conns.Add(-1) }

type echo struct {
	counted
	transport transport.Transport
}

func (p *echo) ConnectionMade(t transport.Transport) {
	p.transport = t
	p.counted.ConnectionMade(t)
}

func (p *echo) DataReceived(data []byte) { p.transport.Write(data) }

// serveDatagrams echoes datagrams until the process ends.
func serveDatagrams(ctx context.Context, l *loop.Loop, ready func(contest.Hello)) error {
	t, err := l.CreateDatagramEndpoint(ctx, &datagramEcho{},
		&loop.DatagramOptions{LocalAddr: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	ready(contest.Hello{Addr: transport.SockName(t).String(), Note: l.Why(), Uncounted: true})
	<-ctx.Done()
	return ctx.Err()
}

type datagramEcho struct {
	protocol.DatagramBase
	transport transport.DatagramTransport
}

func (p *datagramEcho) ConnectionMade(t transport.DatagramTransport) { p.transport = t }

func (p *datagramEcho) DatagramReceived(data []byte, from transport.Addr) {
	p.transport.SendTo(data, from)
}

type receiver struct {
	counted
	sink *contest.Sink
}

func (p *receiver) ConnectionMade(t transport.Transport) {
	p.sink.From(transport.PeerName(t))
	p.counted.ConnectionMade(t)
}

func (p *receiver) DataReceived(data []byte) { p.sink.Take(data) }

// bufferedReceiver has the kernel write into one registered buffer.
type bufferedReceiver struct {
	counted
	sink *contest.Sink
	loop *loop.Loop
	buf  []byte
}

func (p *bufferedReceiver) ConnectionMade(t transport.Transport) {
	p.buf = p.loop.AllocBuffer(contest.BlockSize)
	p.sink.From(transport.PeerName(t))
	p.counted.ConnectionMade(t)
}

func (p *bufferedReceiver) GetBuffer(int) []byte { return p.buf }
func (p *bufferedReceiver) BufferUpdated(n int)  { p.sink.Take(p.buf[:n]) }

func (p *bufferedReceiver) ConnectionLost(err error) {
	p.loop.FreeBuffer(p.buf)
	p.counted.ConnectionLost(err)
}

// sender writes as long as it has credit and the transport does not ask it to
// pause.
type sender struct {
	counted
	transport transport.Transport
	credit    int
	pos       int64
	paused    bool
}

func (p *sender) ConnectionMade(t transport.Transport) {
	p.transport = t
	p.counted.ConnectionMade(t)
}

func (p *sender) DataReceived(data []byte) {
	p.credit += len(data)
	p.send()
}

func (p *sender) PauseWriting() { p.paused = true }

func (p *sender) ResumeWriting() {
	p.paused = false
	p.send()
}

func (p *sender) send() {
	for p.credit > 0 && !p.paused {
		p.credit--
		block := contest.Pattern(p.pos, contest.BlockSize)
		p.pos += contest.BlockSize
		if _, err := p.transport.Write(block); err != nil {
			return
		}
	}
}
