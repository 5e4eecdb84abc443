package filecopy

import (
	"context"
	"io"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/tlsio"
)

// Source is a file on its way to a TLS transport, which asks for the blocks.
//
//	idle --Read--> reading --> idle
//	any --Ended--> ended
//
// Where it ends while it is reading, its memory is given back after that.
type Source struct {
	host    Host
	from    proactor.File
	offset  int64 // of what was not read yet
	left    int64
	block   *[copyBlock]byte // nil until something is read, and when it has ended
	reading bool
	ended   bool
	stop    func()
	done    func(int64, error)
}

var _ tlsio.Source = (*Source)(nil)

// Encrypt makes a TLS transport send part of a file.
func Encrypt(ctx context.Context, host Host, t *tlsio.Transport, p Part) {
	f := &Source{host: host, from: p.From, offset: p.Offset, left: p.Left, done: p.Done}
	f.stop = host.WhenDone(ctx, func() { t.CancelSource(f, context.Cause(ctx)) })
	if err := t.WriteSource(f); err != nil {
		f.Ended(0, err)
	}
}

// Read implements tlsio.Source.
func (f *Source) Read(most int, done func(block []byte, err error)) {
	if f.left == 0 {
		f.host.Next(func() { done(nil, io.EOF) })
		return
	}
	if f.block == nil {
		f.block = blocks.Get().(*[copyBlock]byte)
	}
	block, offset, n := f.block[:min(int64(most), f.left, copyBlock)], f.offset, 0
	f.reading = true
	f.host.OffLoop(func() (err error) {
		n, err = f.from.ReadAt(block, offset)
		return err
	}, func(err error) {
		f.reading = false
		if f.ended {
			f.free()
			return
		}
		f.offset, f.left = f.offset+int64(n), f.left-int64(n)
		if err == nil && f.left == 0 {
			err = io.EOF
		}
		done(block[:n], err)
	})
}

// Ended implements tlsio.Source.
func (f *Source) Ended(sent int64, err error) {
	f.ended = true
	if !f.reading {
		f.free()
	}
	f.stop()
	f.done(sent, err)
}

func (f *Source) free() {
	if f.block != nil {
		blocks.Put(f.block)
		f.block = nil
	}
}
