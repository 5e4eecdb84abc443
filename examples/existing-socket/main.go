// Command existing-socket makes a transport of one end of a socket pair and
// prints what is written to the other.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

type printer struct {
	protocol.Base
	transport transport.Transport
	lost      chan error
}

func (p *printer) ConnectionMade(t transport.Transport) { p.transport = t }

func (p *printer) DataReceived(data []byte) {
	fmt.Printf("Received: %q\n", data)

	// We are done: ConnectionLost will be called.
	p.transport.Close()
}

func (p *printer) ConnectionLost(err error) { p.lost <- err }

func watch(ctx context.Context, l *loop.Loop) error {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	rsock, wsock := os.NewFile(uintptr(fds[0]), "rsock"), os.NewFile(uintptr(fds[1]), "wsock")
	defer wsock.Close()

	p := &printer{lost: make(chan error, 1)}
	opts := &loop.ConnectionOptions{Sock: rsock}
	if _, err := l.CreateConnection(ctx, p, "", opts); err != nil {
		return err
	}

	// Simulate the reception of data from the network.
	l.CallSoonThreadsafe(func() { wsock.Write([]byte("abc")) })
	return <-p.lost
}

func main() {
	if err := loop.Run(context.Background(), watch); err != nil {
		log.Fatal(err)
	}
}
