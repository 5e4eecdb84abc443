package main

import (
	"context"
	"os"
	"sync"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/bench/internal/netserver"
	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/stream"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// sluice is a contestant: this library on one of its engines.
type sluice struct {
	name   string
	engine loop.Engine
	loops  int // 0: one
}

// Name returns the engine's name on the command line.
func (s sluice) Name() string { return s.name }

// Serves is true: the library does it all. Several loops are compared by echoes.
func (s sluice) Serves(mode contest.Mode) bool { return s.loops < 2 || mode == contest.Echo }

// Serve runs loops until the process ends.
func (s sluice) Serve(task contest.Task, ready func(contest.Hello)) error {
	opts := loop.Options{Engine: s.engine, Loops: s.loops}
	shared := &port{left: max(s.loops, 1), addr: "127.0.0.1:0"}
	return opts.Run(context.Background(), func(ctx context.Context, l *loop.Loop) error {
		switch {
		case task.Mode == contest.Datagrams:
			return serveDatagrams(ctx, l, ready)
		case task.Mode == contest.HTTP:
			return serveHTTP(l, task.Page, ready)
		case task.Mode.Works():
			ready(contest.Hello{Work: work(l, task.Mode), Note: l.Why(), Uncounted: true})
			<-ctx.Done()
			return ctx.Err()
		}
		return shared.serve(ctx, l, task, ready)
	})
}

// A port is what several loops listen on.
type port struct {
	mu   sync.Mutex
	addr string
	left int // loops that do not listen yet
}

func (p *port) serve(ctx context.Context, l *loop.Loop, task contest.Task,
	ready func(contest.Hello)) error {
	protocols, err := factory(l, task)
	if err != nil {
		return err
	}
	server, err := p.listen(ctx, l, task.Mode, protocols, ready)
	if err != nil {
		return err
	}
	return server.ServeForever(ctx)
}

// listen makes a server on the port, which the first one chooses, and says so when all
// loops have theirs.
func (p *port) listen(ctx context.Context, l *loop.Loop, mode contest.Mode,
	protocols protocol.Factory, ready func(contest.Hello)) (*loop.Server, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	server, addr, err := listen(ctx, l, mode, protocols, p.addr)
	if err != nil {
		return nil, err
	}
	p.addr = addr
	if p.left--; p.left == 0 {
		ready(contest.Hello{Addr: addr, Note: l.Why()})
	}
	return server, nil
}

func listen(ctx context.Context, l *loop.Loop, mode contest.Mode, protocols protocol.Factory,
	addr string) (*loop.Server, string, error) {
	options := loop.ServerOptions{ReusePort: true}
	switch mode {
	case contest.EchoUnix:
		server, err := l.CreateUnixServer(ctx, protocols, contest.UnixName(), nil)
		return server, contest.UnixName(), err
	case contest.EchoTLS:
		config, err := contest.TLSServer()
		if err != nil {
			return nil, "", err
		}
		options.TLS = &loop.TLSOptions{Config: config}
	}
	server, err := l.CreateServer(ctx, protocols, addr, &options)
	if err != nil {
		return nil, "", err
	}
	return server, server.Addrs()[0].String(), nil
}

// serveHTTP has net/http's server answer on streams of the loop.
func serveHTTP(l *loop.Loop, page *contest.Page, ready func(contest.Hello)) error {
	listener, err := stream.Listen(l, "tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ready(contest.Hello{Addr: listener.Addr().String(), Note: l.Why()})
	return netserver.ServeHTTP(listener, page)
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
		case contest.Pipes:
			return &piped{counted: counted, loop: l}
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
		&loop.DatagramOptions{LocalAddr: "127.0.0.1:0",
			ReceiveBuffer: contest.DatagramBuffer})
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
