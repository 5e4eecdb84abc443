// Command pressure shows what holds a connection back: a server sends a picture a
// hundred times a second, its client stalls for a while, and each line says where
// the time of the connection went.
//
// It needs no privilege; with CAP_BPF and CAP_PERFMON it sees more.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/pressure"
)

const (
	picture = 64 << 10
	every   = 10 * time.Millisecond
	phase   = 600 * time.Millisecond
)

// camera sends a picture at each tick, unless the last ones are still on their way.
type camera struct {
	protocol.Base
	loop      *loop.Loop
	transport transport.Transport
	timer     *loop.TimerHandle
	paused    bool
}

func (c *camera) ConnectionMade(t transport.Transport) {
	c.transport = t
	c.send()
}

func (c *camera) send() {
	if !c.paused {
		c.transport.Write(make([]byte, picture))
	}
	c.timer = c.loop.CallLater(every, c.send)
}

func (c *camera) PauseWriting()        { c.paused = true }
func (c *camera) ResumeWriting()       { c.paused = false }
func (c *camera) DataReceived([]byte)  {}
func (c *camera) ConnectionLost(error) { c.timer.Cancel() }

// client reads, stalls, and reads again.
func client(address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, reads := range []bool{true, false, true} {
		end := time.Now().Add(phase)
		if !reads {
			fmt.Println("the client stalls")
			time.Sleep(phase)
			fmt.Println("the client reads again")
			continue
		}
		conn.SetReadDeadline(end)
		io.Copy(io.Discard, conn)
	}
	return nil
}

// watch prints an account of the server's connection for each third of a phase.
func watch(ctx context.Context, tracer *pressure.Tracer, server string) {
	ticker := time.NewTicker(phase / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for a := range tracer.Accounts() {
			if a.Local.String() == server {
				fmt.Printf("fd %d sends %5d KiB  %-6v %s\n",
					a.FD, a.Send.Bytes>>10, a.Send.Verdict, a.Send.Reason)
			}
		}
	}
}

func run(ctx context.Context, l *loop.Loop) error {
	factory := func() protocol.Protocol { return &camera{loop: l} }
	server, err := l.CreateServer(ctx, factory, "127.0.0.1:0", nil)
	if err != nil {
		return err
	}
	defer server.AbortClients()
	tracer, err := pressure.Attach(ctx, pressure.Options{Interval: phase / 50})
	if err != nil {
		return err
	}
	defer tracer.Close()
	fmt.Println("level", tracer.Support().Level)
	address := server.Addrs()[0].String()
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		watch(ctx, tracer, address)
	}()
	err = client(address)
	cancel()
	<-done
	return err
}

func main() {
	options := loop.Options{FlowPage: true}
	if err := options.Run(context.Background(), run); err != nil {
		log.Fatal(err)
	}
}
