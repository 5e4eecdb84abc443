// Command tls-echo serves TLS and sends back what it receives. With -connect it is
// the client: it sends its standard input and prints what comes back.
//
// Without -cert the server makes a certificate for itself, in memory, and writes it
// to the file that -ca names, where the client reads whom to trust.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

var (
	listen  = flag.String("listen", "127.0.0.1:8843", "address to serve on")
	connect = flag.String("connect", "", "address to connect to, instead of serving")
	cert    = flag.String("cert", "", "file with the server's certificate, PEM")
	key     = flag.String("key", "", "file with its key, PEM")
	ca      = flag.String("ca", "", "file with the certificate to trust, PEM")
)

type echo struct {
	protocol.Base
	transport transport.Transport
}

func newEcho() protocol.Protocol { return &echo{} }

func (p *echo) ConnectionMade(t transport.Transport) {
	p.transport = t
	state, _ := transport.TLSState(t)
	fmt.Printf("Connection from %v: %v, %v, ALPN %q\n", transport.PeerName(t),
		tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite),
		state.NegotiatedProtocol)
}

func (p *echo) DataReceived(data []byte) { p.transport.Write(data) }

// A peer that sends and does not read is not read from either.
func (p *echo) PauseWriting()  { p.transport.PauseReading() }
func (p *echo) ResumeWriting() { p.transport.ResumeReading() }

func serve(ctx context.Context, l *loop.Loop) error {
	certificate, err := serverCertificate()
	if err != nil {
		return err
	}
	server, err := l.CreateServer(ctx, newEcho, *listen, &loop.ServerOptions{
		TLS: &loop.TLSOptions{
			Config: &tls.Config{
				Certificates: []tls.Certificate{certificate},
				NextProtos:   []string{"echo"},
			},
			OnHandshakeError: func(peer net.Addr, err error) {
				fmt.Println("No connection:", peer, err)
			},
		},
	})
	if err != nil {
		return err
	}
	fmt.Println("Serving on", server.Addrs()[0])
	return server.ServeForever(ctx)
}

// printer prints until it has as many bytes as it wants.
type printer struct {
	protocol.Base
	want int
	got  []byte
	lost chan error
}

func (p *printer) DataReceived(data []byte) {
	if p.got = append(p.got, data...); len(p.got) == p.want {
		os.Stdout.Write(p.got)
		close(p.lost)
	}
}

func (p *printer) ConnectionLost(err error) {
	if len(p.got) < p.want {
		p.lost <- fmt.Errorf("lost with %d of %d bytes: %v", len(p.got), p.want, err)
	}
}

func talk(ctx context.Context, l *loop.Loop) error {
	input, err := io.ReadAll(os.Stdin)
	if err != nil || len(input) == 0 {
		return err
	}
	config := &tls.Config{NextProtos: []string{"echo"}}
	if *ca != "" {
		pem, err := os.ReadFile(*ca)
		if err != nil {
			return err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s: no certificate in it", *ca)
		}
	}
	p := &printer{want: len(input), lost: make(chan error, 1)}
	opts := &loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: config}}
	t, err := l.CreateConnection(ctx, p, *connect, opts)
	if err != nil {
		return err
	}
	l.CallSoonThreadsafe(func() { t.Write(input) })
	return <-p.lost
}

func main() {
	flag.Parse()
	if (*cert == "") != (*key == "") {
		log.Fatal("-cert and -key are needed together")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := serve
	if *connect != "" {
		run = talk
	}
	if err := loop.Run(ctx, run); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}
