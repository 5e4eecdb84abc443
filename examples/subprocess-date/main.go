// Program subprocess-date runs date and prints what it says.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/subprocess"
)

type dateProtocol struct {
	protocol.SubprocessBase
	over   chan struct{}
	output []byte
}

func (p *dateProtocol) PipeDataReceived(_ int, data []byte) {
	p.output = append(p.output, data...)
}

// ConnectionLost comes after the exit and after all output, ProcessExited may not.
func (p *dateProtocol) ConnectionLost(error) { close(p.over) }

func getDate(ctx context.Context, l *loop.Loop) error {
	p := &dateProtocol{over: make(chan struct{})}
	_, err := l.SubprocessExec(ctx, p, []string{"date"},
		&subprocess.Options{Stdin: subprocess.Inherit, Stderr: subprocess.Inherit})
	if err != nil {
		return err
	}
	<-p.over
	fmt.Printf("Current date: %s", p.output)
	return nil
}

func main() {
	if err := loop.Run(context.Background(), getDate); err != nil {
		log.Fatal(err)
	}
}
