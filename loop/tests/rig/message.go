package rig

import (
	"context"
	"os"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
)

// Ends returns the descriptor of one end of a pair whose other end p has.
func Ends(t *testing.T, l *loop.Loop, p protocol.Protocol) int {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fds[0]) })
	opts := &loop.ConnectionOptions{Sock: os.NewFile(uintptr(fds[1]), "pair")}
	if _, err := l.CreateConnection(context.Background(), p, "", opts); err != nil {
		t.Fatal(err)
	}
	return fds[0]
}

// roundTrip sends a message and receives it back.
func roundTrip(t *testing.T, fd int, message, reply []byte) {
	if _, err := syscall.Write(fd, message); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(message); {
		k, err := syscall.Read(fd, reply)
		if err != nil || k == 0 {
			t.Fatal("read", k, err)
		}
		n += k
	}
}

// Messages sends messages of several sizes to fd, whose other end sends them back, and
// fails where one costs an allocation.
func Messages(t *testing.T, fd int) { MessagesOf(t, fd, 64, 16<<10, 100<<10) }

// MessagesOf is Messages of certain sizes.
func MessagesOf(t *testing.T, fd int, sizes ...int) {
	for _, size := range sizes {
		message, reply := make([]byte, size), make([]byte, size)
		// AllocsPerRun counts the whole process, the loop's goroutine too.
		allocs := testing.AllocsPerRun(200, func() { roundTrip(t, fd, message, reply) })
		if allocs != 0 {
			t.Errorf("%v allocations for a message of %d bytes", allocs, size)
		}
	}
}
