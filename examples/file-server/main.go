// Command file-server serves the files below a directory by HTTP/1.1: GET and HEAD,
// a single range, connections that are used again. It shows Sendfile; a server for
// the world wants net/http's care.
//
//	file-server -addr 127.0.0.1:8080 directory
package main

import (
	"bytes"
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

// headMax is the most that the head of a request may have.
const headMax = 16 << 10

// headEnd is the empty line behind the head of a request.
var headEnd = []byte("\r\n\r\n")

// client is one connection. It answers one request at a time and reads nothing
// meanwhile, so that somebody who sends requests without end fills no memory.
//
//	reading --a head is complete--> answering --sent--> reading
//	                                          --last--> closing
type client struct {
	protocol.Base
	ctx       context.Context
	loop      *loop.Loop
	root      *os.Root
	transport transport.Transport
	input     []byte // received and not looked at
	answering bool
	eof       bool
}

func (c *client) ConnectionMade(t transport.Transport) { c.transport = t }

func (c *client) DataReceived(data []byte) {
	c.input = append(c.input, data...)
	c.next()
}

// EOFReceived leaves the connection open for the answers that are due.
func (c *client) EOFReceived() (keepOpen bool) {
	c.eof = true
	return c.answering
}

// next answers the next request if all of its head is there.
func (c *client) next() {
	if c.answering {
		return
	}
	end := bytes.Index(c.input, headEnd)
	switch {
	case end < 0 && len(c.input) > headMax:
		c.transport.Write(plain(statusTooLarge, false))
		c.transport.Close()
		return
	case end < 0 && c.eof:
		c.transport.Close()
		return
	case end < 0:
		c.transport.ResumeReading()
		return
	}
	r, status := parse(string(c.input[:end]))
	c.input = append(c.input[:0], c.input[end+len(headEnd):]...)
	c.answering = true
	c.transport.PauseReading()
	if status != "" {
		c.transport.Write(plain(status, r.keep))
		c.ended(r, nil)
		return
	}
	c.open(r)
}

// open opens the file elsewhere, because that may have to wait for a disk.
func (c *client) open(r request) {
	var f *os.File
	var size int64
	c.loop.RunInExecutor(func() (err error) {
		f, size, err = openFile(c.root, r.path)
		return err
	}, func(err error) {
		if err != nil {
			c.transport.Write(plain(statusOf(err), r.keep))
			c.ended(r, nil)
			return
		}
		c.send(r, f, size)
	})
}

// send sends the head of the answer, and the file behind it.
func (c *client) send(r request, f *os.File, size int64) {
	first, count, status := r.within(size)
	if status == statusBadRange {
		c.transport.Write(badRange(size, r.keep))
		f.Close()
		c.ended(r, nil)
		return
	}
	c.transport.Write(head(status, r.path, first, count, size, r.keep))
	if r.head {
		f.Close()
		c.ended(r, nil)
		return
	}
	c.loop.SendfileFunc(c.ctx, c.transport, f, first, count, func(n int64, err error) {
		f.Close()
		if err == nil && n < count {
			err = fmt.Errorf("%s has become shorter", r.path)
		}
		c.ended(r, err)
	})
}

// ended goes on with the next request. A client that was promised more than it got
// can only be told by the end of the connection.
func (c *client) ended(r request, err error) {
	c.answering = false
	switch {
	case err != nil:
		fmt.Printf("%v: %v\n", transport.PeerName(c.transport), err)
		c.transport.Abort()
	case !r.keep:
		c.transport.Close()
	default:
		c.loop.CallSoon(c.next)
	}
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to serve on")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: file-server [-addr host:port] directory")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	root, err := os.OpenRoot(flag.Arg(0)) // nothing outside of it is served
	if err != nil {
		log.Fatal(err)
	}
	// Ending in order lets answers under way be sent, for three seconds at most.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = loop.Run(ctx, func(ctx context.Context, l *loop.Loop) error {
		factory := func() protocol.Protocol { return &client{ctx: ctx, loop: l, root: root} }
		server, err := l.CreateServer(ctx, factory, *addr, nil)
		if err != nil {
			return err
		}
		fmt.Println("Serving on", server.Addrs()[0])
		return server.ServeForever(ctx)
	})
	if err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}
