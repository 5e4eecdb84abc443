package rig

import (
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// EndRecorder is a protocol that remembers its end.
type EndRecorder struct {
	protocol.Base
	T    transport.Transport // of ConnectionMade
	Lost error               // what ConnectionLost passed
	Gone bool                // ConnectionLost was called
	Got  int                 // bytes received
}

// ConnectionMade keeps the transport.
func (s *EndRecorder) ConnectionMade(t transport.Transport) { s.T = t }

// DataReceived counts the bytes.
func (s *EndRecorder) DataReceived(data []byte) { s.Got += len(data) }

// ConnectionLost keeps the error.
func (s *EndRecorder) ConnectionLost(err error) { s.Gone, s.Lost = true, err }

// DebugOptions are those of a loop in debug mode that logs everything to log.
func DebugOptions(log *Lines) loop.Options {
	h := slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})
	return loop.Options{Debug: true, Logger: slog.New(h)}
}

// Stall takes its time.
func Stall(l *loop.Loop) {
	for began := l.Time(); l.Time()-began < 20*time.Millisecond; {
		runtime.Gosched()
	}
}

// Lines is what a logger wrote.
type Lines struct {
	mu sync.Mutex
	b  strings.Builder
}

// Write implements io.Writer. Any goroutine.
func (w *Lines) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

// Contains reports whether part was written. Any goroutine.
func (w *Lines) Contains(part string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(w.b.String(), part)
}

// Text returns all that was written. Any goroutine.
func (w *Lines) Text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// Outside connects a recorder on the loop with a peer that is not on it.
func Outside(t *testing.T, l *loop.Loop) (*transporttest.Recorder, net.Conn) {
	t.Helper()
	f, peer := SocketPair(t, syscall.SOCK_STREAM)
	r := transporttest.NewRecorder(t)
	opts := &loop.ConnectionOptions{Sock: f}
	if _, err := l.CreateConnection(WithTimeout(t), r, "", opts); err != nil {
		t.Fatal(err)
	}
	return r, peer
}
