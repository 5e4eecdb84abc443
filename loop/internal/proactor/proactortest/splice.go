package proactortest

import (
	"errors"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

var spliceTests = []test{
	{name: "SpliceMovesWhatWasReceived", run: spliceMoves},
	{name: "SpliceOutStopsWithoutRoom", run: spliceFull},
	{name: "SpliceNamesWhatIsWrong", run: spliceFails},
}

// splicePipe makes a pipe that is closed at the end.
func (r *rig) splicePipe() proactor.SplicePipe {
	r.Helper()
	p, err := r.OpenSplicePipe(64 << 10)
	r.must(err)
	if p.Size <= 0 {
		r.Errorf("a pipe of %d bytes", p.Size)
	}
	r.fds = append(r.fds, p.R, p.W)
	return p
}

// move moves size bytes from one socket to another, and returns how often there was nothing
// or no room.
func (r *rig) move(from int, p proactor.SplicePipe, to, size int) (waits int) {
	r.Helper()
	inside := 0
	r.until("the bytes are moved", func() bool {
		for size > 0 || inside > 0 {
			if inside == 0 {
				n, err := r.TrySpliceIn(from, p, size)
				if errors.Is(err, syscall.EAGAIN) {
					waits++
					return false
				}
				r.must(err)
				if n <= 0 || n > size {
					r.Fatalf("%d of %d bytes", n, size)
				}
				inside, size = n, size-n
			}
			n, err := r.TrySpliceOut(p, to, inside)
			r.must(err)
			if n == 0 {
				waits++
				return false
			}
			inside -= n
		}
		return true
	})
	return waits
}

func spliceMoves(r *rig) {
	for _, family := range []proactor.Family{proactor.IPv4, proactor.Unix} {
		client, a := r.pair(family)
		b, server := r.pair(family)
		p := r.splicePipe()
		if n, err := r.TrySpliceIn(a, p, 10); n != 0 || !errors.Is(err, syscall.EAGAIN) {
			r.Errorf("out of nothing: %d, %v", n, err)
		}
		want := pattern(300_000)
		send := r.send(client, want)
		recv := r.probe(proactor.RecvAny, server).submit()
		r.move(a, p, b, len(want))
		r.same(recv.receive(len(want)), want)
		send.want(len(want))
		r.must(r.ShutdownWrite(client))
		r.until("the end is there", func() bool {
			n, err := r.TrySpliceIn(a, p, 10)
			return n == 0 && err == nil
		})
	}
}

func spliceFull(r *rig) {
	client, a := r.pair(proactor.IPv4)
	b, server := r.pair(proactor.IPv4)
	p := r.splicePipe()
	want := pattern(8 << 20)
	send := r.send(client, want)
	moved, inside, full, stuck := 0, 0, 0, 0
	r.until("there is no room", func() bool {
		for full = 0; full == 0; {
			if inside == 0 {
				n, err := r.TrySpliceIn(a, p, len(want)-moved)
				if errors.Is(err, syscall.EAGAIN) {
					break
				}
				r.must(err)
				inside, moved = n, moved+n
			}
			n, err := r.TrySpliceOut(p, b, inside)
			r.must(err)
			if inside -= n; n == 0 {
				full++
			}
		}
		stuck += full
		return stuck > 3
	})
	recv := r.probe(proactor.RecvAny, server).submit()
	r.until("the pipe is empty", func() bool {
		n, err := r.TrySpliceOut(p, b, inside)
		r.must(err)
		inside -= n
		return inside == 0
	})
	r.move(a, p, b, len(want)-moved)
	r.same(recv.receive(len(want)), want)
	send.want(len(want))
}

func spliceFails(r *rig) {
	client, a := r.pair(proactor.IPv4)
	b, server := r.pair(proactor.IPv4)
	p := r.splicePipe()
	if _, err := r.TrySpliceIn(1<<20, p, 10); !errors.Is(err, syscall.EBADF) {
		r.Errorf("from a bad descriptor: %v", err)
	}
	r.reset(server)
	r.settle()
	var err error
	inside := 0
	r.until("the reset is reported", func() bool {
		if inside == 0 {
			r.send(client, []byte("last words")).want(10)
			r.until("the bytes are there", func() bool {
				n, _ := r.TrySpliceIn(a, p, 10)
				inside = n
				return n > 0
			})
		}
		n := 0
		n, err = r.TrySpliceOut(p, b, inside)
		inside -= n
		return err != nil
	})
	if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		r.Errorf("to a peer that is gone: %v", err)
	}
	r.reset(client)
	empty := r.splicePipe()
	r.until("the other reset is there", func() bool {
		_, err = r.TrySpliceIn(a, empty, 1)
		return !errors.Is(err, syscall.EAGAIN)
	})
	if !errors.Is(err, syscall.ECONNRESET) {
		r.Errorf("from a peer that is gone: %v", err)
	}
}
