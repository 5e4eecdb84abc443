package stream_test

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/stream"
)

// Many goroutines use and misuse many connections at once. Bytes that were read are
// those that were written, in order; all calls end; and nothing is left.
func TestManyGoroutinesOnManyConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		ln := listen(t, l, "tcp")
		defer ln.Close()
		count := 24
		if simulated(l) { // which keeps a history of every byte
			count = 6
		}
		var all sync.WaitGroup
		for i := range count {
			client, server, err := connect(l, ln)
			if err != nil {
				t.Fatal(err)
			}
			c := &clash{seed: uint64(i), client: client.(*stream.Conn),
				server: server.(*stream.Conn)}
			all.Go(func() { c.run(t) })
		}
		all.Wait()
	})
}

// clash is one connection: one end sends numbers and the other checks them, while
// somebody moves deadlines, sets limits, and in the end closes either end.
type clash struct {
	seed           uint64
	client, server *stream.Conn
}

const clashBytes = 256 << 10

func (c *clash) run(t *testing.T) {
	var both sync.WaitGroup
	written, read := crc32.NewIEEE(), crc32.NewIEEE()
	total := 0
	both.Go(func() { c.write(written) })
	both.Go(func() { total = c.read(t, read) })
	stop := make(chan struct{})
	var meddlers sync.WaitGroup
	meddlers.Go(func() { c.meddle(stop) })
	both.Wait()
	close(stop)
	meddlers.Wait()
	if c.seed%3 != 0 && (total != clashBytes || written.Sum32() != read.Sum32()) {
		t.Errorf("connection %d: %d bytes were read, and not those that were written",
			c.seed, total)
	}
	for _, end := range []*stream.Conn{c.client, c.server} {
		end.Close()
		ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
		if err := end.WaitClosed(ctx); errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("connection %d does not end", c.seed)
		}
		cancel()
	}
}

// write writes in pieces of any size, on in spite of deadlines.
func (c *clash) write(sum io.Writer) {
	r := rand.New(rand.NewPCG(c.seed, 1))
	for left := clashBytes; left > 0; {
		p := make([]byte, min(left, 1+r.IntN(100_000)))
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		for len(p) > 0 {
			n, err := c.client.Write(p)
			sum.Write(p[:n])
			p, left = p[n:], left-n
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			if err != nil {
				c.client.SetWriteDeadline(time.Time{})
			}
		}
	}
	c.client.CloseWrite()
}

// read reads up to the end. Every third connection is closed half way, by one of its
// ends or by both.
func (c *clash) read(t *testing.T, sum io.Writer) (total int) {
	r := rand.New(rand.NewPCG(c.seed, 2))
	p := make([]byte, 64<<10)
	for {
		n, err := c.server.Read(p[:1+r.IntN(len(p))])
		sum.Write(p[:n])
		total += n
		switch {
		case err == io.EOF:
			return total
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.server.SetReadDeadline(time.Time{})
		case err != nil:
			if c.seed%3 != 0 || errors.Is(err, loop.ErrLoopClosed) {
				t.Errorf("connection %d: %v", c.seed, err)
			}
			return total
		}
		if c.seed%3 == 0 && total > clashBytes/2 {
			c.end(r.IntN(5))
		}
	}
}

func (c *clash) end(how int) {
	switch how {
	case 0:
		c.client.Close()
	case 1:
		c.server.Close()
	case 2:
		c.client.Abort()
	case 3:
		c.server.Abort()
	default:
		var at sync.WaitGroup
		for _, end := range []net.Conn{c.client, c.server, c.client, c.server} {
			at.Go(func() { end.Close() })
		}
		at.Wait()
	}
}

// meddle does what has no effect on what is sent.
func (c *clash) meddle(stop <-chan struct{}) {
	r := rand.New(rand.NewPCG(c.seed, 3))
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(r.IntN(300)) * time.Microsecond):
		}
		soon := time.Now().Add(time.Duration(r.IntN(2000)-500) * time.Microsecond)
		switch r.IntN(5) {
		case 0:
			c.server.SetReadDeadline(soon)
		case 1:
			c.client.SetWriteDeadline(soon)
		case 2:
			c.server.SetReadLimit(1 + r.IntN(100_000))
		case 3:
			c.client.SetReadDeadline(soon)
			c.client.Read(make([]byte, 1))
		case 4:
			c.server.SetWriteDeadline(soon)
			c.server.RemoteAddr()
		}
	}
}
