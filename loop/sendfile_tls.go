package loop

import (
	"context"
	"io"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/tlsio"
)

// fileSource is a file on its way to a TLS transport, which asks for the blocks.
//
//	idle --Read--> reading --> idle
//	any --Ended--> ended
//
// Where it ends while it is reading, its memory is given back after that.
type fileSource struct {
	loop    *Loop
	from    proactor.File
	offset  int64 // of what was not read yet
	left    int64
	block   *[copyBlock]byte // nil until something is read, and when it has ended
	reading bool
	ended   bool
	stop    func()
	done    func(int64, error)
}

var _ tlsio.Source = (*fileSource)(nil)

// encryptFile has a TLS transport send a file.
func (l *Loop) encryptFile(ctx context.Context, t *tlsio.Transport, f *fileSource) {
	f.stop = l.whenDone(ctx, func() { t.CancelSource(f, context.Cause(ctx)) })
	if err := t.WriteSource(f); err != nil {
		f.Ended(0, err)
	}
}

// Read implements tlsio.Source.
func (f *fileSource) Read(most int, done func(block []byte, err error)) {
	if f.left == 0 {
		f.loop.CallSoon(func() { done(nil, io.EOF) })
		return
	}
	if f.block == nil {
		f.block = blocks.Get().(*[copyBlock]byte)
	}
	block, offset, n := f.block[:min(int64(most), f.left, copyBlock)], f.offset, 0
	f.reading = true
	f.loop.offLoop(func() (err error) {
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
func (f *fileSource) Ended(sent int64, err error) {
	f.ended = true
	if !f.reading {
		f.free()
	}
	f.stop()
	f.done(sent, err)
}

func (f *fileSource) free() {
	if f.block != nil {
		blocks.Put(f.block)
		f.block = nil
	}
}
