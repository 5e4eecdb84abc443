// Command udp-echo-client sends a datagram to udp-echo-server, prints what comes
// back, and ends.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

type echoClient struct {
	protocol.DatagramBase
	message   string
	transport transport.DatagramTransport
	lost      chan error
}

func (p *echoClient) ConnectionMade(t transport.DatagramTransport) {
	p.transport = t
	fmt.Println("Send:", p.message)
	t.SendTo([]byte(p.message), transport.Addr{})
}

func (p *echoClient) DatagramReceived(data []byte, _ transport.Addr) {
	fmt.Printf("Received: %s\n", data)

	fmt.Println("Close the socket")
	p.transport.Close()
}

func (p *echoClient) ErrorReceived(err error) { fmt.Println("Error received:", err) }

func (p *echoClient) ConnectionLost(err error) {
	fmt.Println("Socket closed")
	p.lost <- err
}

func talk(ctx context.Context, l *loop.Loop) error {
	p := &echoClient{message: "Hello World!", lost: make(chan error, 1)}
	_, err := l.CreateDatagramEndpoint(ctx, p,
		&loop.DatagramOptions{RemoteAddr: "127.0.0.1:9999"})
	if err != nil {
		return err
	}
	return <-p.lost
}

func main() {
	if err := loop.Run(context.Background(), talk); err != nil {
		log.Fatal(err)
	}
}
