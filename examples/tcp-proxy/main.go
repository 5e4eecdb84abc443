// Command tcp-proxy accepts connections and passes what they send on to another
// server, and its answers back.
//
// Each side is read only as fast as the other one takes what was read, so that a
// reader who stalls costs the water marks' worth of memory and no more. The end of
// one direction is passed on and leaves the other one open. With -tls the clients
// speak TLS and the server does not.
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

// side is the protocol of one of the two connections that belong together.
type side struct {
	transport transport.Transport
	other     *side
	made      func() // called by ConnectionMade
	eof       bool   // it has sent all that it will send
}

func (s *side) ConnectionMade(t transport.Transport) {
	s.transport = t
	s.made()
}

func (s *side) DataReceived(data []byte) { s.other.transport.Write(data) }

// PauseWriting says that this side takes less than the other one sends.
func (s *side) PauseWriting() { s.other.transport.PauseReading() }

func (s *side) ResumeWriting() { s.other.transport.ResumeReading() }

// EOFReceived passes the end of one direction on. A side that cannot be told so
// (TLS has no half-close) is closed instead, and so are both after both ends.
func (s *side) EOFReceived() (keepOpen bool) {
	s.eof = true
	if s.other.eof || !s.other.transport.CanWriteEOF() {
		s.other.transport.Close()
		return false
	}
	s.other.transport.WriteEOF()
	return true
}

// ConnectionLost ends the other side too: in order, or as this one was ended.
func (s *side) ConnectionLost(err error) {
	switch other := s.other.transport; {
	case other == nil:
	case err != nil:
		reset(other)
	default:
		other.ResumeReading() // this side will not ask for it any more
		other.Close()
	}
}

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
	client, server := &side{}, &side{}
	client.other, server.other = server, client
	client.made = func() {
		client.transport.PauseReading()
		p.dial(client, server)
	}
	server.made = func() {
		if client.transport.IsClosing() {
			server.transport.Abort()
			return
		}
		client.transport.ResumeReading()
	}
	return client
}

func (p *proxy) dial(client, server *side) {
	ctx, cancel := context.WithTimeout(p.ctx, dialTimeout)
	p.loop.CreateConnectionFunc(ctx, server, p.target, nil,
		func(_ transport.Transport, err error) {
			cancel()
			if err != nil {
				complain(transport.PeerName(client.transport), err)
				reset(client.transport)
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
