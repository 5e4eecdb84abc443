package schedule_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
)

func TestS357_ReaderIsCalledAsLongAsThereIsSomething(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		r, w := rig.Pipe(t)
		w.Write([]byte("abc"))
		fd, calls := int(r.Fd()), 0
		looptest.Do(l, func() {
			err := l.AddReader(fd, func() {
				var b [1]byte
				if n, _ := syscall.Read(fd, b[:]); n == 1 {
					calls++
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
		looptest.WaitFor(t, l, "three calls", func() bool { return calls == 3 })
		looptest.Do(l, func() {
			if !l.RemoveReader(fd) {
				t.Error("RemoveReader removed nothing")
			}
		})
		w.Write([]byte("d"))
		looptest.Pass(t, l, 5e6)
		if calls != 3 {
			t.Error("called after RemoveReader")
		}
	})
}

func TestS358_AddingAgainReplaces(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		r, w := rig.Pipe(t)
		w.Write([]byte("x"))
		fd, replaced := int(r.Fd()), false
		looptest.Do(l, func() {
			err := l.AddReader(fd, func() { t.Error("the old function was called") })
			err = errors.Join(err, l.AddReader(fd, func() {
				replaced = true
				l.RemoveReader(fd)
			}))
			if err != nil {
				t.Error(err)
			}
		})
		looptest.WaitFor(t, l, "the new function", func() bool { return replaced })
	})
}

func TestS359_RemoveSaysWhetherThereWasAnything(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		f, _ := rig.SocketPair(t, syscall.SOCK_STREAM)
		defer f.Close()
		fd, writable := int(f.Fd()), 0
		looptest.Do(l, func() {
			err := errors.Join(l.AddReader(fd, func() { t.Error("readable") }),
				l.AddWriter(fd, func() { writable++ }))
			if err != nil {
				t.Error(err)
			}
			if !l.RemoveReader(fd) || l.RemoveReader(fd) {
				t.Error("RemoveReader does not tell")
			}
		})
		looptest.WaitFor(t, l, "the writer", func() bool { return writable > 0 })
		looptest.Do(l, func() {
			if !l.RemoveWriter(fd) || l.RemoveWriter(fd) {
				t.Error("RemoveWriter does not tell")
			}
		})
	})
}

func TestS361_AReaderRemovedInTheSameBatchIsNotCalled(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		r1, w1 := rig.Pipe(t)
		r2, w2 := rig.Pipe(t)
		w1.Write([]byte("x"))
		w2.Write([]byte("x"))
		fds, calls := []int{int(r1.Fd()), int(r2.Fd())}, 0
		looptest.Do(l, func() {
			for _, fd := range fds {
				if err := l.AddReader(fd, func() {
					calls++
					l.RemoveReader(fds[0])
					l.RemoveReader(fds[1])
				}); err != nil {
					t.Error(err)
				}
			}
		})
		looptest.WaitFor(t, l, "a call", func() bool { return calls > 0 })
		looptest.Pass(t, l, 5e6)
		if calls != 1 {
			t.Errorf("%d calls", calls)
		}
	})
}

func TestS362_WhatCannotBeWatchedIsAnError(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		f, err := os.Create(filepath.Join(t.TempDir(), "file"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		looptest.Do(l, func() {
			if err := l.AddReader(int(f.Fd()), func() {}); !errors.Is(err, syscall.EPERM) {
				t.Errorf("a regular file: %v", err)
			}
			if err := l.AddReader(-1, func() {}); !errors.Is(err, syscall.EBADF) {
				t.Errorf("no descriptor: %v", err)
			}
		})
	})
}

func TestS033_S363_DescriptorOfATransportIsErrFdInUse(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, _ := rig.Pair(t, l)
		looptest.Do(l, func() {
			s, ok := transport.Socket(server.Transport())
			if !ok {
				t.Error("no socket")
				return
			}
			err := s.Control(func(fd uintptr) {
				if err := l.AddReader(int(fd), func() {}); !errors.Is(err, loop.ErrFdInUse) {
					t.Errorf("AddReader: %v", err)
				}
				if err := l.AddWriter(int(fd), func() {}); !errors.Is(err, loop.ErrFdInUse) {
					t.Errorf("AddWriter: %v", err)
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	})
}

func TestS364_AfterCloseNothingIsWatched(t *testing.T) {
	l := idle(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.AddWriter(0, func() {}); !errors.Is(err, loop.ErrLoopClosed) {
		t.Errorf("AddWriter: %v", err)
	}
	if l.RemoveReader(0) || l.RemoveWriter(0) {
		t.Error("something was removed")
	}
}
