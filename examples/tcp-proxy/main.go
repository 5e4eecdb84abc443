// Command tcp-proxy accepts connections and passes what they send on to another
// server, and its answers back.
//
// The bytes go from socket to socket inside the kernel. Each side is read only as fast as
// the other one takes what was read. The end of one direction is passed on and leaves the
// other one open, and a reset is passed on as a reset. With -tls the clients speak TLS and
// the server does not: then the bytes are copied, and the end of one direction is the end
// of both.
//
//	tcp-proxy 127.0.0.1:8000 127.0.0.1:80
//	tcp-proxy -tls -cert cert.pem -key key.pem :443 127.0.0.1:80
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// dialTimeout bounds the attempt to reach the server.
const dialTimeout = 10 * time.Second

// end is the protocol of a connection until it is relayed. It receives nothing.
type end struct {
	protocol.Base
	made func(t transport.Transport) // called by ConnectionMade
}

func (e *end) ConnectionMade(t transport.Transport) { e.made(t) }
func (e *end) DataReceived([]byte)                  {}

// reset ends a connection by RST: its peer must not take for the end of the data what
// was an interruption.
func reset(t transport.Transport) {
	if socket, ok := transport.Socket(t); ok {
		socket.Control(func(fd uintptr) {
			syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER,
				&syscall.Linger{Onoff: 1})
		})
	}
	t.Abort()
}

// proxy connects each client to the server at target.
type proxy struct {
	ctx    context.Context
	loop   *loop.Loop
	target string
}

// newClient makes the protocol of a client, which is not read before the server
// is reached.
func (p *proxy) newClient() protocol.Protocol {
	return &end{made: func(client transport.Transport) {
		client.PauseReading()
		p.dial(client)
	}}
}

func (p *proxy) dial(client transport.Transport) {
	ctx, cancel := context.WithTimeout(p.ctx, dialTimeout)
	server := &end{made: func(transport.Transport) {}}
	p.loop.CreateConnectionFunc(ctx, server, p.target, nil,
		func(server transport.Transport, err error) {
			cancel()
			if err != nil {
				complain(transport.PeerName(client), err)
				reset(client)
				return
			}
			p.relay(client, server)
		})
}

// relay passes on what each of the two sends, until both have ended.
func (p *proxy) relay(client, server transport.Transport) {
	p.loop.RelayFunc(context.Background(), client, server, nil,
		func(_ loop.Relayed, err error) {
			if err != nil {
				server.Abort() // the client was gone before it began; otherwise both are
			}
		})
}

// complain says why a client is not connected.
func complain(client net.Addr, err error) { fmt.Printf("%v: %v\n", client, err) }

func main() {
	useTLS := flag.Bool("tls", false, "clients speak TLS")
	cert := flag.String("cert", "cert.pem", "certificate file, for -tls")
	key := flag.String("key", "key.pem", "key file, for -tls")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: tcp-proxy [-tls -cert file -key file] listen target")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	if _, _, err := net.SplitHostPort(flag.Arg(1)); err != nil {
		log.Fatal("target: ", err)
	}
	var opts loop.ServerOptions
	if *useTLS {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			log.Fatal(err)
		}
		opts.TLS = &loop.TLSOptions{
			Config:           &tls.Config{Certificates: []tls.Certificate{pair}},
			OnHandshakeError: complain,
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := loop.Run(ctx, func(ctx context.Context, l *loop.Loop) error {
		p := &proxy{ctx: ctx, loop: l, target: flag.Arg(1)}
		server, err := l.CreateServer(ctx, p.newClient, flag.Arg(0), &opts)
		if err != nil {
			return err
		}
		fmt.Println("Proxying", server.Addrs()[0], "to", p.target)
		return server.ServeForever(ctx)
	})
	if err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}
