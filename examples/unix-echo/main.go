// Command unix-echo serves on a Unix socket, the path of which is its argument,
// and sends back what it receives. A path that begins with '@' is an abstract
// name.
package main

import (
	"context"
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

func newEcho() protocol.Protocol { return &echo{} }

func (p *echo) ConnectionMade(t transport.Transport) {
	peer, _ := transport.PeerCred(t)
	fmt.Printf("Connection from process %d of user %d\n", peer.PID, peer.UID)
	p.transport = t
}

func (p *echo) DataReceived(data []byte) { p.transport.Write(data) }

func serve(ctx context.Context, l *loop.Loop) error {
	path := "echo.sock"
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	server, err := l.CreateUnixServer(ctx, newEcho, path, nil)
	if err != nil {
		return err
	}
	fmt.Println("Serving on", server.Addrs()[0])
	return server.ServeForever(ctx)
}

func main() {
	// Ending in order removes the socket's file.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := loop.Run(ctx, serve); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}
