package fdio

import (
	"bytes"
	"testing"
)

// queueModel is the queue as it is meant: bytes in order, and slices of users
// that come back once, when their last byte is gone.
type queueModel struct {
	bytes    []byte
	owned    []ownedModel // in order
	sent     int          // bytes ever sent
	queued   int          // bytes ever queued
	released map[int]int  // by number of the slice
}

type ownedModel struct{ number, end int }

// FuzzQueue drives the write queue and a model of it with the same steps: two
// bytes each, what and how much.
func FuzzQueue(f *testing.F) {
	f.Add([]byte{0, 9, 1, 7, 2, 0, 0, 3, 3, 5, 3, 255})
	f.Add([]byte{0, 255, 0, 255, 0, 255, 2, 0, 0, 1, 3, 100, 2, 0, 3, 255, 4, 0})
	f.Add([]byte{1, 1, 1, 2, 1, 3, 2, 0, 4, 0, 5, 0})
	f.Fuzz(func(t *testing.T, steps []byte) {
		d := queueDriver{t: t, m: queueModel{released: map[int]int{}}}
		for ; len(steps) >= 2; steps = steps[2:] {
			d.step(steps[0], int(steps[1]))
			d.compare()
		}
		d.release(d.q.land(&d.pool, nil))
		for n := range d.slices {
			if d.m.released[n] != 1 {
				t.Fatalf("slice %d was released %d times", n, d.m.released[n])
			}
		}
		if !d.q.empty() {
			t.Fatal("not empty after landing")
		}
	})
}

// queueDriver applies steps to both.
type queueDriver struct {
	t       *testing.T
	q       queue
	m       queueModel
	pool    ChunkPool
	slices  int // given to own
	flying  [][]byte
	flown   []byte // a copy of flying when it took off
	dropped bool
}

func (d *queueDriver) step(what byte, n int) {
	switch what % 6 {
	case 0: // a write; every eighth one is large
		if n%8 == 7 {
			n *= 600
		}
		if !d.dropped {
			d.q.copyIn(d.next(n), &d.pool)
		}
	case 1: // an owned slice
		if !d.dropped && n > 0 {
			number := d.slices
			d.slices++
			d.q.own(d.next(n), func() { d.m.released[number]++ }, &d.pool)
			d.m.owned = append(d.m.owned, ownedModel{number, d.m.queued})
		}
	case 2: // a send takes off
		if d.flying == nil && !d.q.empty() {
			d.flying = d.q.gather(nil)
			d.flown = bytes.Join(d.flying, nil)
			d.q.flying = len(d.flying)
		}
	case 3: // it lands, with n 256ths of it sent, and one byte at least
		if d.flying != nil {
			d.land(1 + (len(d.flown)-1)*n/255)
		}
	case 4: // everything that waits is dropped, as by Abort
		d.release(d.q.drop(&d.pool, nil))
		d.dropped = true
	case 5: // the send was cancelled
		if d.flying != nil && !d.dropped {
			d.flying, d.q.flying = nil, 0
		}
	}
}

// next returns n bytes that are told by their position.
func (d *queueDriver) next(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		at := d.m.queued + i
		b[i] = byte(at ^ at>>8 ^ at>>16)
	}
	d.m.queued += n
	d.m.bytes = append(d.m.bytes, b...)
	return b
}

func (d *queueDriver) land(n int) {
	d.flying, d.q.flying = nil, 0
	if d.dropped {
		d.release(d.q.land(&d.pool, nil))
		return
	}
	d.release(d.q.sent(n, &d.pool, nil))
	d.m.bytes = d.m.bytes[n:]
	d.m.sent += n
	for len(d.m.owned) > 0 && d.m.owned[0].end <= d.m.sent {
		if d.m.released[d.m.owned[0].number] != 1 {
			d.t.Fatalf("slice %d is gone and not released", d.m.owned[0].number)
		}
		d.m.owned = d.m.owned[1:]
	}
}

func (d *queueDriver) release(due []func()) {
	for _, f := range due {
		f()
	}
}

// compare checks the order of the bytes, that what flies was left alone, and
// that nobody's slice came back too early.
func (d *queueDriver) compare() {
	if d.flying != nil && !bytes.Equal(bytes.Join(d.flying, nil), d.flown) {
		d.t.Fatal("bytes in flight were written to")
	}
	if d.dropped {
		return
	}
	var left []byte
	for _, c := range d.q.chunks[d.q.head:] {
		left = append(left, c.buf...)
	}
	if !bytes.Equal(left, d.m.bytes) {
		d.t.Fatalf("%d bytes are queued that are not the %d of the model",
			len(left), len(d.m.bytes))
	}
	for _, o := range d.m.owned {
		if d.m.released[o.number] != 0 {
			d.t.Fatalf("slice %d was released before it was sent", o.number)
		}
	}
}
