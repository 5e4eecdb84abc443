package loop_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// run runs main and prints its error, as the examples below do.
func run(main func(ctx context.Context, l *loop.Loop) error) {
	if err := loop.Run(context.Background(), main); err != nil {
		fmt.Println(err)
	}
}

// answerer is a datagram protocol that answers, and once keeps the answer.
type answerer struct {
	protocol.DatagramBase
	t      transport.DatagramTransport
	answer chan string
}

func (p *answerer) ConnectionMade(t transport.DatagramTransport) { p.t = t }

func (p *answerer) DatagramReceived(data []byte, from transport.Addr) {
	if p.answer != nil {
		p.answer <- string(data)
		return
	}
	p.t.SendTo(bytes.ToUpper(data), from)
}

// A server for any client, and a client with one peer.
func ExampleLoop_CreateDatagramEndpoint() {
	run(func(ctx context.Context, l *loop.Loop) error {
		server, err := l.CreateDatagramEndpoint(ctx, &answerer{},
			&loop.DatagramOptions{LocalAddr: "127.0.0.1:0"})
		if err != nil {
			return err
		}
		client := &answerer{answer: make(chan string, 1)}
		t, err := l.CreateDatagramEndpoint(ctx, client,
			&loop.DatagramOptions{RemoteAddr: transport.SockName(server).String()})
		if err != nil {
			return err
		}
		l.CallSoonThreadsafe(func() { t.SendTo([]byte("hello"), transport.Addr{}) })
		fmt.Println(<-client.answer)
		return nil
	})
	// Output: HELLO
}

// filter keeps what a child prints.
type filter struct {
	protocol.SubprocessBase
	output []byte
	over   chan error
}

func (p *filter) PipeDataReceived(_ int, data []byte) { p.output = append(p.output, data...) }

func (p *filter) ConnectionLost(err error) { p.over <- err }

// A child that is fed through its standard input. Its end is ConnectionLost: by then it
// has exited and all its output was received.
func ExampleLoop_SubprocessExec() {
	run(func(ctx context.Context, l *loop.Loop) error {
		p := &filter{over: make(chan error, 1)}
		child, err := l.SubprocessExec(ctx, p, []string{"tr", "a-z", "A-Z"}, nil)
		if err != nil {
			return err
		}
		l.CallSoonThreadsafe(func() {
			stdin := child.PipeTransport(0).(transport.WriteTransport)
			stdin.Write([]byte("hello"))
			stdin.Close()
		})
		err = <-p.over
		code, _ := child.ReturnCode()
		fmt.Printf("%s, exit code %d\n", p.output, code)
		return err
	})
	// Output: HELLO, exit code 0
}

// collector keeps what it receives until the end, and the files passed to it.
type collector struct {
	protocol.Base
	data  []byte
	files []byte // what is in files that were passed
	over  chan error
}

func (p *collector) DataReceived(data []byte) { p.data = append(p.data, data...) }

func (p *collector) ConnectionLost(err error) { p.over <- err }

var _ protocol.FDReceiver = &collector{}

// FDsReceived gets files that are the protocol's to close.
func (p *collector) FDsReceived(files []*os.File, _ bool) {
	for _, f := range files {
		text, _ := io.ReadAll(f)
		p.files = append(p.files, text...)
		f.Close()
	}
}

// Both ends of a pipe; FIFOs, terminals and other character devices work alike.
func ExampleLoop_ConnectReadPipe() {
	run(func(ctx context.Context, l *loop.Loop) error {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		reader := &collector{over: make(chan error, 1)}
		if _, err := l.ConnectReadPipe(ctx, reader, r); err != nil {
			return err
		}
		t, err := l.ConnectWritePipe(ctx, &collector{over: make(chan error, 1)}, w)
		if err != nil {
			return err
		}
		l.CallSoonThreadsafe(func() {
			t.Write([]byte("through a pipe"))
			t.Close()
		})
		err = <-reader.over
		fmt.Printf("%s\n", reader.data)
		return err
	})
	// Output: through a pipe
}

// An open file is passed to the process at the other end of a Unix socket, which here is
// this one.
func ExampleLoop_CreateUnixServer() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	run(func(ctx context.Context, l *loop.Loop) error {
		got := &collector{over: make(chan error, 1)}
		path := filepath.Join(dir, "socket")
		_, err := l.CreateUnixServer(ctx, func() protocol.Protocol { return got }, path, nil)
		if err != nil {
			return err
		}
		t, err := l.CreateUnixConnection(ctx, &collector{over: make(chan error, 1)}, path, nil)
		if err != nil {
			return err
		}
		name := filepath.Join(dir, "file")
		if err := os.WriteFile(name, []byte("from an open file"), 0o600); err != nil {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		l.CallSoonThreadsafe(func() {
			t.(transport.FDWriter).WriteWithFDs([]byte("here: "), []*os.File{f})
			f.Close()
			t.Close()
		})
		err = <-got.over
		fmt.Printf("%s%s\n", got.data, got.files)
		return err
	})
	// Output: here: from an open file
}

// A file is part of the output: what is written before it is sent before it, what is
// written afterwards behind it, and Close waits for all of it.
func ExampleLoop_SendfileFunc() {
	run(func(ctx context.Context, l *loop.Loop) error {
		f, err := os.CreateTemp("", "example")
		if err != nil {
			return err
		}
		defer os.Remove(f.Name())
		f.WriteString("a file")
		receiver := &collector{over: make(chan error, 1)}
		server, err := l.CreateServer(ctx, func() protocol.Protocol { return receiver },
			"127.0.0.1:0", nil)
		if err != nil {
			return err
		}
		sender := &collector{over: make(chan error, 1)}
		t, err := l.CreateConnection(ctx, sender, server.Addrs()[0].String(), nil)
		if err != nil {
			return err
		}
		l.CallSoonThreadsafe(func() {
			t.Write([]byte("before, "))
			l.SendfileFunc(ctx, t, f, 0, -1, func(n int64, err error) {
				f.Close()
				fmt.Println(n, "bytes of the file were sent,", err)
			})
			t.Write([]byte(", after"))
			t.Close()
		})
		<-sender.over
		err = <-receiver.over
		fmt.Printf("%s\n", receiver.data)
		return err
	})
	// Output:
	// 6 bytes of the file were sent, <nil>
	// before, a file, after
}

// greeter begins in the clear and goes over to TLS when its peer asks for that, as a
// server of SMTP does.
type greeter struct {
	collector
	ctx    context.Context
	loop   *loop.Loop
	config *tls.Config
	t      transport.Transport
	secure bool
}

func (p *greeter) ConnectionMade(t transport.Transport) { p.t = t }

func (p *greeter) DataReceived(data []byte) {
	p.data = append(p.data, data...)
	rest, asked := bytes.CutPrefix(p.data, []byte("STARTTLS\r\n"))
	if !asked || p.secure {
		return
	}
	p.t.Write([]byte("220 go ahead\r\n")) // still in the clear
	p.secure = true
	opts := &loop.TLSOptions{ServerSide: true, Prefix: rest}
	p.loop.StartTLSFunc(p.ctx, p.t, p, p.config, opts,
		func(t transport.Transport, err error) {
			if err == nil { // else ConnectionLost has been called
				p.t, p.data = t, nil
			}
		})
}

// The protocol of a server that is asked for TLS on an open connection. From StartTLSFunc
// on all that arrives is the handshake's; what had come already is its Prefix.
func ExampleLoop_StartTLSFunc() {
	config := &tls.Config{} // with Certificates
	_ = loop.Run(context.Background(), func(ctx context.Context, l *loop.Loop) error {
		factory := func() protocol.Protocol { return &greeter{ctx: ctx, loop: l, config: config} }
		server, err := l.CreateServer(ctx, factory, "127.0.0.1:2525", nil)
		if err != nil {
			return err
		}
		return server.ServeForever(ctx)
	})
}
