package pipe_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// A pipe that has room takes a write beyond the high mark at once, also in a round in
// which another write is on its way: PauseWriting means that it is full.
func TestAWritePipeWhoseReaderKeepsUpIsNeverPaused(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	rig.OnKernelsWith(t, loop.Options{Entries: 1}, func(t *testing.T, l *loop.Loop) {
		const high = 1000
		r, w := rig.Pipe(t)
		writer := transporttest.NewRecorder(t)
		rig.WritePipe(t, l, writer, w)
		rig.AbortAtEnd(t, l, writer)
		conns := rig.OutsideConns(t, l, "tcp", 20)
		written, read, paused := 0, 0, 0
		looptest.Do(l, func() {
			writer.On.Pause = func() { paused++ }
			writer.Transport().SetWriteBufferLimits(transport.Limits{High: high})
			for i, g := range conns {
				g.On.Data = func(data []byte) {
					g.Transport().Write(data) // so that the round is larger than the queue
					read += drain(t, r)
					// Alternately below the mark, which waits for the end of the round,
					// and beyond it.
					n := 10 + i%2*2*high
					writer.Transport().Write(make([]byte, n))
					written += n
				}
			}
		})
		for range 200 {
			for _, g := range conns {
				if _, err := g.Peer.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			looptest.Turns(l, 2)
		}
		looptest.WaitFor(t, l, "all of it", func() bool {
			read += drain(t, r)
			return read == written
		})
		looptest.Do(l, func() {
			if paused > 0 {
				t.Errorf("PauseWriting %d times, though the pipe had room", paused)
			}
		})
	})
}

// drain reads what is in a pipe, and returns how much it was.
func drain(t *testing.T, r *os.File) (total int) {
	raw, err := r.SyscallConn()
	if err != nil {
		t.Error(err)
		return 0
	}
	err = raw.Control(func(fd uintptr) {
		for buf := make([]byte, 64<<10); ; {
			n, err := syscall.Read(int(fd), buf)
			if n <= 0 || err != nil {
				return
			}
			total += n
		}
	})
	if err != nil {
		t.Error(err)
	}
	return total
}
