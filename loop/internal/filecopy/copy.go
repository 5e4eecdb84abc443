// Package filecopy reads files for transports that cannot send them by themselves: TLS
// encrypts the blocks, and transports of the user are written copies.
package filecopy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// Host is what copying needs of a loop. All of it is for the loop's goroutine.
type Host interface {
	// OffLoop runs f, which may block, on another goroutine, and then done on the
	// loop's.
	OffLoop(f func() error, done func(error))

	// WhenDone calls f when ctx ends, unless stop was called before.
	WhenDone(ctx context.Context, f func()) (stop func())

	// After runs f once d has passed, unless the timer is stopped before.
	After(d time.Duration, f func()) fdio.Timer

	// Next runs f in the next round.
	Next(f func())
}

// Part is part of a file, and who is told of its end.
type Part struct {
	From   proactor.File               // what is read; it stays open until Done
	Offset int64                       // of the first byte
	Left   int64                       // bytes from there on
	Done   func(sent int64, err error) // on the loop's goroutine, once
}

// copyBlock is the most of a file that a copy holds in memory.
const copyBlock = 256 << 10

// Copies are the files on their way to transports that know nothing of files, in the
// order in which they were begun. Those to one transport follow each other.
type Copies struct {
	Host Host // the loop; set before the first Begin
	all  []*copying
}

// copying is a file on its way to a transport that knows nothing of files.
//
//	waiting --the one before has ended--> reading --> written --room--> reading
//	                                                  written --none left--> ended
//	any --an error, ctx, closing--> ended
type copying struct {
	copies  *Copies
	to      transport.WriteTransport
	from    proactor.File
	offset  int64
	left    int64
	sent    int64
	block   []byte
	pause   time.Duration // the last one, while there is no room
	reading bool
	ended   bool
	stop    func()
	done    func(int64, error)
}

// How long a copy waits before it looks for room again: any transport can be asked,
// but not every one tells.
const (
	roomPauseMin = 50 * time.Microsecond
	roomPauseMax = 5 * time.Millisecond
)

// Begin begins to copy part of a file, or puts that behind another copy to the same
// transport. p.Done is called once, with how many bytes were written.
func (all *Copies) Begin(ctx context.Context, to transport.WriteTransport, p Part) {
	c := &copying{copies: all, to: to, from: p.From, offset: p.Offset, left: p.Left,
		done: p.Done}
	first := true
	for _, other := range all.all {
		first = first && other.to != c.to
	}
	all.all = append(all.all, c)
	c.stop = all.Host.WhenDone(ctx, func() { c.end(context.Cause(ctx)) })
	if first {
		c.step()
	}
}

// step reads the next block.
func (c *copying) step() {
	switch {
	case c.ended || c.reading:
		return
	case c.to.IsClosing():
		c.end(transport.ErrClosed)
		return
	case c.left == 0:
		c.end(nil)
		return
	}
	if c.block == nil {
		c.block = make([]byte, min(c.left, copyBlock))
	}
	block, n := c.block[:min(c.left, int64(len(c.block)))], 0
	c.reading = true
	c.copies.Host.OffLoop(func() (err error) {
		n, err = c.from.ReadAt(block, c.offset)
		return err
	}, func(err error) {
		c.reading = false
		c.write(block[:n], err)
	})
}

// write passes a block on.
func (c *copying) write(block []byte, err error) {
	if c.ended {
		return
	}
	if len(block) > 0 {
		if _, refused := c.to.Write(block); refused != nil {
			c.end(refused)
			return
		}
	}
	n := int64(len(block))
	c.sent, c.offset, c.left = c.sent+n, c.offset+n, c.left-n
	switch {
	case errors.Is(err, io.EOF):
		c.left = 0
	case err != nil:
		c.end(err)
		return
	}
	c.pause = 0
	c.await()
}

// await waits for room. A transport that is closing says so in step.
func (c *copying) await() {
	if c.ended {
		return
	}
	if c.to.IsClosing() || c.to.WriteBufferSize() <= c.to.WriteBufferLimits().Low {
		c.step()
		return
	}
	c.pause = min(max(2*c.pause, roomPauseMin), roomPauseMax)
	c.copies.Host.After(c.pause, c.await)
}

// end calls done, and begins the next copy to the same transport.
func (c *copying) end(err error) {
	if c.ended {
		return
	}
	c.ended = true
	c.stop()
	all := c.copies
	var next *copying
	kept := all.all[:0]
	for _, other := range all.all {
		if other == c {
			continue
		}
		if next == nil && other.to == c.to {
			next = other
		}
		kept = append(kept, other)
	}
	clear(all.all[len(kept):])
	all.all = kept
	if next != nil {
		all.Host.Next(next.step)
	}
	c.done(c.sent, err)
}

// blocks are of copyBlock bytes, for reading ahead.
var blocks = sync.Pool{New: func() any { return new([copyBlock]byte) }}

// ReadAhead reads part of a file, so that the kernel's cache has it.
func ReadAhead(from io.ReaderAt, offset int64, n int) error {
	b := blocks.Get().(*[copyBlock]byte)
	defer blocks.Put(b)
	for n > 0 {
		k, err := from.ReadAt(b[:min(n, copyBlock)], offset)
		if err != nil {
			return fmt.Errorf("loop: reading ahead: %w", err)
		}
		n -= k
		offset += int64(k)
	}
	return nil
}
