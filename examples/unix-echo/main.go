// Command unix-echo serves on a Unix socket and sends back what it receives. A path
// that begins with '@' is an abstract name. With -messages the socket keeps the bounds of
// messages (SOCK_SEQPACKET): each is received and sent back as one.
//
//	unix-echo [-messages] [path]
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

type echo struct {
	protocol.Base
	transport transport.Transport
}

var messages = flag.Bool("messages", false, "keep the bounds of messages")

func newEcho() protocol.Protocol { return &echo{} }

func (p *echo) ConnectionMade(t transport.Transport) {
	peer, _ := transport.PeerCred(t)
	fmt.Printf("Connection from process %d of user %d\n", peer.PID, peer.UID)
	p.transport = t
}

func (p *echo) DataReceived(data []byte) { p.transport.Write(data) }

// A peer that sends and does not read is not read from either.
func (p *echo) PauseWriting()  { p.transport.PauseReading() }
func (p *echo) ResumeWriting() { p.transport.ResumeReading() }

func serve(ctx context.Context, l *loop.Loop) error {
	path := "echo.sock"
	if flag.NArg() > 0 {
		path = flag.Arg(0)
	}
	// The file of a server that has ended is replaced, that of one that runs is not.
	opts := &loop.UnixServerOptions{ProbeSocket: true}
	if *messages {
		opts.Network = "unixpacket"
	}
	server, err := l.CreateUnixServer(ctx, newEcho, path, opts)
	if err != nil {
		return err
	}
	fmt.Println("Serving on", server.Addrs()[0])
	return server.ServeForever(ctx)
}

func main() {
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: unix-echo [-messages] [path]") }
	flag.Parse()
	// Ending in order removes the socket's file.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := loop.Run(ctx, serve); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}
