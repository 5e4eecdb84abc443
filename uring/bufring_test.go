//go:build linux

package uring

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// The ring's tail lies in its first entry. Returning buffers in any order, the
// first entry included, must neither lose the tail nor confuse buffers.
func TestBuffersComeBackInAnyOrder(t *testing.T) {
	needs(t, FeatureBufRing)
	const count = 8
	r := newRing(t, 64, nil)
	br, err := r.RegisterBufRingWith(1, BufRingOptions{Count: count, Size: 32, Start: count})
	if err != nil {
		t.Fatal(err)
	}
	a, b := pair(t, unix.SOCK_SEQPACKET)
	random := rand.New(rand.NewPCG(1, 2))
	kernels := make([]uint16, count) // in the order in which the kernel takes them
	for i := range kernels {
		kernels[i] = uint16(i)
	}
	var mine []uint16
	for round := range 4000 {
		if len(kernels) > 0 && random.IntN(2) == 0 {
			text := fmt.Sprint("round ", round)
			write(t, b, text)
			s := sqe(t, r)
			s.PrepRecvSelect(a, 1, 0, 0)
			c := waitRes(t, r, 0, int32(len(text)))
			if c.BufID() != kernels[0] || string(br.Buffer(c.BufID())[:c.Res]) != text {
				t.Fatalf("round %d: buffer %d, want %d", round, c.BufID(), kernels[0])
			}
			mine, kernels = append(mine, kernels[0]), kernels[1:]
			continue
		}
		for range random.IntN(len(mine) + 1) {
			i := random.IntN(len(mine))
			br.Add(mine[i])
			kernels = append(kernels, mine[i])
			mine = append(mine[:i], mine[i+1:]...)
		}
		br.Advance()
	}
}

func TestAddedBufferIsTheKernelsOnlyAfterAdvance(t *testing.T) {
	needs(t, FeatureBufRing)
	r := newRing(t, 8, nil)
	br, err := r.RegisterBufRing(1, 2, 16)
	if err != nil {
		t.Fatal(err)
	}
	a, b := pair(t, unix.SOCK_STREAM)
	write(t, b, "x")
	try := func() CQE {
		s := sqe(t, r)
		s.PrepRecvSelect(a, 1, 0, 0)
		return wait(t, r)
	}
	if c := try(); c.Errno() != unix.ENOBUFS {
		t.Fatalf("%+v: an empty ring", c)
	}
	br.Add(1)
	if c := try(); c.Errno() != unix.ENOBUFS {
		t.Fatalf("%+v: before Advance", c)
	}
	br.Advance()
	if c := try(); c.Res != 1 || c.BufID() != 1 {
		t.Fatalf("%+v", c)
	}
}

func TestBufferIsItsOwnPartOfMemory(t *testing.T) {
	needs(t, FeatureBufRing)
	r := newRing(t, 8, nil)
	br, err := r.RegisterBufRing(9, 4, 100)
	if err != nil {
		t.Fatal(err)
	}
	if br.Count() != 4 || br.Size() != 100 || br.Group() != 9 {
		t.Error(br.Count(), br.Size(), br.Group())
	}
	for id := range uint16(4) {
		b := br.Buffer(id)
		if len(b) != 100 || cap(b) != 100 {
			t.Fatal(len(b), cap(b))
		}
		for i := range b {
			b[i] = byte(id)
		}
	}
	for id := range uint16(4) {
		for _, x := range br.Buffer(id) {
			if x != byte(id) {
				t.Fatal("buffers overlap")
			}
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("buffer 4 of 4 is no panic")
		}
	}()
	br.Add(4)
}

func TestBufRingSizesOutOfBoundsAreRefused(t *testing.T) {
	r := newRing(t, 8, nil)
	for _, o := range []BufRingOptions{
		{Count: 0, Size: 1}, {Count: 3, Size: 1}, {Count: 1 << 16, Size: 1},
		{Count: 4}, {Count: 4, Size: -1}, {Count: 4, Size: math.MaxInt}, {Count: -4, Size: 1},
		{Count: 4, Size: 1, Start: 5}, {Count: 4, Size: 1, Start: -1},
	} {
		if _, err := r.RegisterBufRingWith(1, o); !errors.Is(err, ErrSize) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestLargestBufRing(t *testing.T) {
	needs(t, FeatureBufRing)
	r := newRing(t, 8, nil)
	br, err := r.RegisterBufRingWith(1, BufRingOptions{Count: 32768, Size: 4096, Start: 32768})
	if err != nil {
		t.Fatal(err)
	}
	a, b := pair(t, unix.SOCK_STREAM)
	write(t, b, "x")
	sqe(t, r).PrepRecvSelect(a, 1, 0, 0)
	waitRes(t, r, 0, 1)
	br.Add(0)
	br.Advance()
	if err := br.Close(); err != nil {
		t.Fatal(err)
	}
	if err := br.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.RegisterBufRing(1, 4, 16); err != nil {
		t.Error("the group is not free after Close:", err)
	}
}
