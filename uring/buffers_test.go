//go:build linux

package uring

import (
	"errors"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFixedBuffersOnASocket(t *testing.T) {
	needs(t, FeatureReadFixed)
	r := newRing(t, 8, nil)
	one, two := make([]byte, 4096), make([]byte, 4096)
	if err := r.RegisterBuffers([][]byte{one, two}); err != nil {
		t.Fatal(err)
	}
	a, b := pair(t, unix.SOCK_STREAM)
	copy(one[100:], "fixed")
	sqe(t, r).PrepWriteFixed(a, one[100:105], 0, 0)
	waitRes(t, r, 0, 5)
	sqe(t, r).PrepReadFixed(b, two[10:20], 0, 1)
	waitRes(t, r, 0, 5)
	if string(two[10:15]) != "fixed" {
		t.Errorf("%q", two[10:15])
	}
	sqe(t, r).PrepReadFixed(b, one[:8], 0, 1)
	if c := wait(t, r); c.Errno() != syscall.EFAULT {
		t.Errorf("%+v: buffer 0 by the name of 1", c)
	}
	if err := r.RegisterBuffers([][]byte{one}); !errors.Is(err, syscall.EBUSY) {
		t.Error("a second table:", err)
	}
	if err := r.UnregisterBuffers(); err != nil {
		t.Error(err)
	}
	if err := r.RegisterBuffers([][]byte{one}); err != nil {
		t.Error(err)
	}
}

func TestSparseBuffersAreFilledLater(t *testing.T) {
	needs(t, FeatureDirectDescriptors)
	r := newRing(t, 8, nil)
	if err := r.RegisterBuffersSparse(4); err != nil {
		t.Fatal(err)
	}
	a, b := pair(t, unix.SOCK_STREAM)
	buf := make([]byte, 4096)
	copy(buf, "late")
	try := func() CQE {
		sqe(t, r).PrepWriteFixed(a, buf[:4], 0, 2)
		return wait(t, r)
	}
	if c := try(); c.Errno() != syscall.EFAULT {
		t.Fatalf("%+v: an empty place", c)
	}
	if err := r.UpdateBuffers(2, [][]byte{buf}); err != nil {
		t.Fatal(err)
	}
	if c := try(); c.Res != 4 || read(t, b) != "late" {
		t.Fatalf("%+v", c)
	}
	if err := r.UpdateBuffers(2, [][]byte{nil}); err != nil {
		t.Fatal(err)
	}
	if c := try(); c.Errno() != syscall.EFAULT {
		t.Errorf("%+v: emptied", c)
	}
	if err := r.UpdateBuffers(4, [][]byte{buf}); !errors.Is(err, ErrSize) {
		t.Error(err)
	}
}

func TestUpdateThatFailsPartlySaysSo(t *testing.T) {
	needs(t, FeatureDirectDescriptors)
	r := newRing(t, 8, nil)
	if err := r.RegisterBuffersSparse(4); err != nil {
		t.Fatal(err)
	}
	hole, err := unix.Mmap(-1, 0, 4096, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(hole)
	good := make([]byte, 4096)
	err = r.UpdateBuffers(0, [][]byte{good, hole})
	if errors.Is(err, syscall.ENOMEM) {
		t.Skip("needs memory:", err)
	}
	if !errors.Is(err, syscall.EFAULT) {
		t.Error(err)
	}
}

func TestDirectDescriptors(t *testing.T) {
	needs(t, FeatureDirectDescriptors)
	r := newRing(t, 8, nil)
	if err := r.RegisterFiles(4); err != nil {
		t.Fatal(err)
	}
	a, b := pair(t, unix.SOCK_STREAM)
	if err := r.UpdateFiles(1, []int32{int32(a)}); err != nil {
		t.Fatal(err)
	}
	s := sqe(t, r)
	s.PrepSend(1, []byte("direct"), 0)
	s.SetFlags(FixedFile)
	waitRes(t, r, 0, 6)
	if got := read(t, b); got != "direct" {
		t.Errorf("%q", got)
	}
	sqe(t, r).PrepFilesUpdate([]int32{int32(b)}, 2)
	waitRes(t, r, 0, 1)
	sqe(t, r).PrepCloseDirect(1)
	waitRes(t, r, 0, 0)
	s = sqe(t, r)
	s.PrepSend(1, []byte("x"), 0)
	s.SetFlags(FixedFile)
	if c := wait(t, r); c.Errno() != syscall.EBADF {
		t.Errorf("%+v: an empty slot", c)
	}
	if err := r.UpdateFiles(0, []int32{-2, -3}); err == nil {
		t.Error("descriptors -2 and -3 are taken")
	}
	if err := r.UnregisterFiles(); err != nil {
		t.Error(err)
	}
}

func TestDirectAcceptAndSocket(t *testing.T) {
	needs(t, FeatureSyncCancel)
	r := newRing(t, 8, nil)
	if err := r.RegisterFiles(4); err != nil {
		t.Fatal(err)
	}
	if err := r.RegisterFileRange(1, 3); err != nil {
		t.Fatal(err)
	}
	fd, name := listener(t)
	peer := dial(t, name)
	s := sqe(t, r)
	s.PrepAcceptMultishotDirect(fd, 0)
	s.SetUserData(1)
	if c := waitRes(t, r, 1, 1); !c.More() {
		t.Errorf("%+v", c)
	}
	s = sqe(t, r)
	s.PrepSend(1, []byte("hi"), 0)
	s.SetFlags(FixedFile)
	waitRes(t, r, 0, 2)
	if got := read(t, peer); got != "hi" {
		t.Errorf("%q", got)
	}
	sqe(t, r).PrepSocketDirectAlloc(unix.AF_INET, unix.SOCK_STREAM, 0, 0)
	waitRes(t, r, 0, 2)
	sqe(t, r).PrepSocketDirect(unix.AF_INET, unix.SOCK_STREAM, 0, 3, 0)
	waitRes(t, r, 0, 0)
	sqe(t, r).PrepSocketDirectAlloc(unix.AF_INET, unix.SOCK_STREAM, 0, 0)
	if c := wait(t, r); c.Errno() != syscall.ENFILE {
		t.Errorf("%+v: no slot is free", c)
	}
}
