// Command udp-echo-server sends datagrams back to where they came from, until it
// is interrupted.
package main

import (
	"context"
	"fmt"
	"log"
	"os/signal"
	"syscall"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

type echoServer struct {
	protocol.DatagramBase
	transport transport.DatagramTransport
}

func (p *echoServer) ConnectionMade(t transport.DatagramTransport) { p.transport = t }

func (p *echoServer) DatagramReceived(data []byte, addr transport.Addr) {
	fmt.Printf("Received %q from %v\n", data, addr)
	fmt.Printf("Send %q to %v\n", data, addr)
	p.transport.SendTo(data, addr)
}

func serve(ctx context.Context, l *loop.Loop) error {
	fmt.Println("Starting UDP server")
	// One protocol serves all clients.
	_, err := l.CreateDatagramEndpoint(ctx, &echoServer{},
		&loop.DatagramOptions{LocalAddr: "127.0.0.1:9999"})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := loop.Run(ctx, serve); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}
