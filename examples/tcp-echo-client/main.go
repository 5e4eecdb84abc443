// Command tcp-echo-client sends a message to tcp-echo-server, prints what comes
// back, and ends when the connection is closed.
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
	protocol.Base
	message string
	lost    chan error
}

func (p *echoClient) ConnectionMade(t transport.Transport) {
	t.Write([]byte(p.message))
	fmt.Printf("Data sent: %q\n", p.message)
}

func (p *echoClient) DataReceived(data []byte) { fmt.Printf("Data received: %q\n", data) }

func (p *echoClient) ConnectionLost(err error) {
	fmt.Println("The server closed the connection")
	p.lost <- err
}

func talk(ctx context.Context, l *loop.Loop) error {
	p := &echoClient{message: "Hello World!", lost: make(chan error, 1)}
	if _, err := l.CreateConnection(ctx, p, "127.0.0.1:8888", nil); err != nil {
		return err
	}
	return <-p.lost
}

func main() {
	if err := loop.Run(context.Background(), talk); err != nil {
		log.Fatal(err)
	}
}
