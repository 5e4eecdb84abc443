// Command tcp-echo-server accepts connections, sends back what it received, and
// closes them.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

type echoServer struct {
	protocol.Base
	transport transport.Transport
}

func newEchoServer() protocol.Protocol { return &echoServer{} }

func (p *echoServer) ConnectionMade(t transport.Transport) {
	fmt.Println("Connection from", transport.PeerName(t))
	p.transport = t
}

func (p *echoServer) DataReceived(data []byte) {
	fmt.Printf("Data received: %q\n", data)
	p.transport.Write(data)

	fmt.Println("Close the client socket")
	p.transport.Close()
}

func serve(ctx context.Context, l *loop.Loop) error {
	server, err := l.CreateServer(ctx, newEchoServer, "127.0.0.1:8888", nil)
	if err != nil {
		return err
	}
	fmt.Println("Serving on", server.Addrs()[0])
	return server.ServeForever(ctx)
}

func main() { log.Fatal(loop.Run(context.Background(), serve)) }
