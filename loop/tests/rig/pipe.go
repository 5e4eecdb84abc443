package rig

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// ReadPipe makes a recorder's transport of a reading end.
func ReadPipe(t *testing.T, l *loop.Loop, p protocol.Protocol, f *os.File) {
	t.Helper()
	if _, err := l.ConnectReadPipe(t.Context(), p, f); err != nil {
		t.Fatal(err)
	}
}

// WritePipe makes one of a writing end.
func WritePipe(t *testing.T, l *loop.Loop, p protocol.Protocol, f *os.File) {
	t.Helper()
	if _, err := l.ConnectWritePipe(t.Context(), p, f); err != nil {
		t.Fatal(err)
	}
}

// PipeEnds connects recorders to both ends of a pipe.
func PipeEnds(t *testing.T, l *loop.Loop) (reader, writer *transporttest.Recorder) {
	t.Helper()
	reader, writer = transporttest.NewRecorder(t), transporttest.NewRecorder(t)
	ConnectPipe(t, l, reader, writer)
	AbortAtEnd(t, l, reader, writer)
	return reader, writer
}

// IsNonblocking reports whether an open file has O_NONBLOCK.
func IsNonblocking(t *testing.T, fd int) bool {
	t.Helper()
	flags := statusFlags(t, fd)
	return flags&syscall.O_NONBLOCK != 0
}

// statusFlags reads the flags of an open file as /proc tells them, in octal.
func statusFlags(t *testing.T, fd int) (flags int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte("flags:"))
	if _, err := fmt.Sscanf(string(rest), "%o", &flags); err != nil {
		t.Fatal(err)
	}
	return flags
}

// Pipe is a pipe whose ends are closed at the test's end.
func Pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}
