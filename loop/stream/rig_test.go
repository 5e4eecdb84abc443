package stream_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/stream"
)

// waitTimeout bounds what must happen soon.
const waitTimeout = 20 * time.Second

// pairs runs f with both ends of a connection, by TCP, on each engine. They are gone
// at the end.
func pairs(t *testing.T, f func(t *testing.T, l *loop.Loop, client, server *stream.Conn)) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := pair(t, l)
		f(t, l, client, server)
	})
}

// kernels runs f on the engines of the machine. Where a timer of the loop's bounds what
// goroutines do, a simulated one has passed before they have done anything.
func kernels(t *testing.T, f func(t *testing.T, l *loop.Loop)) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		if !simulated(l) {
			f(t, l)
		}
	})
}

// simulated reports whether a loop's kernel is simulated.
func simulated(l *loop.Loop) bool { return l.Engine() != loop.Uring && l.Engine() != loop.Epoll }

// kernelPairs is pairs on the engines of the machine.
func kernelPairs(t *testing.T,
	f func(t *testing.T, l *loop.Loop, client, server *stream.Conn)) {
	kernels(t, func(t *testing.T, l *loop.Loop) {
		client, server := pair(t, l)
		f(t, l, client, server)
	})
}

// pair makes a connection that is gone at the end of the test.
func pair(t *testing.T, l *loop.Loop) (client, server *stream.Conn) {
	t.Helper()
	ln := listen(t, l, "tcp")
	defer ln.Close()
	return join(t, l, ln)
}

// join is pair for a listener.
func join(t *testing.T, l *loop.Loop, ln net.Listener) (client, server *stream.Conn) {
	t.Helper()
	c, s, err := connect(l, ln)
	if err != nil {
		t.Fatal(err)
	}
	client, server = c.(*stream.Conn), s.(*stream.Conn)
	t.Cleanup(func() {
		for _, c := range []*stream.Conn{client, server} {
			c.Abort()
			gone(t, c)
		}
	})
	return client, server
}

// gone waits for the end of a connection, and returns why it was lost.
func gone(t *testing.T, c interface{ WaitClosed(context.Context) error }) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	err := c.WaitClosed(ctx)
	if ctx.Err() != nil {
		t.Error("the connection does not end")
	}
	return err
}

func write(t *testing.T, c io.Writer, p []byte) {
	t.Helper()
	if n, err := c.Write(p); n != len(p) || err != nil {
		t.Errorf("Write of %d bytes: %d, %v", len(p), n, err)
	}
}

// want reads what was written.
func want(t *testing.T, c io.Reader, p []byte) {
	t.Helper()
	got := make([]byte, len(p))
	if n, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, p) {
		t.Errorf("read %d bytes of %d, %v", n, len(p), err)
	}
}

// wantEOF reads the end.
func wantEOF(t *testing.T, c io.Reader) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("Read at the end: %d, %v", n, err)
	}
}

// wantErr looks for an error in a *net.OpError.
func wantErr(t *testing.T, what string, err, is error) {
	t.Helper()
	var op *net.OpError
	if !errors.Is(err, is) || !errors.As(err, &op) {
		t.Errorf("%s: %v, want a *net.OpError of %v", what, err, is)
	}
}

// until waits for a condition.
func until(t *testing.T, l *loop.Loop, what string, cond func() bool) {
	t.Helper()
	looptest.WaitFor(t, l, what, cond)
}

// soon waits for a result.
func soon[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(waitTimeout):
		t.Fatal("timed out waiting for " + what)
		panic("unreachable")
	}
}

// result is what Read and Write return.
type result struct {
	n   int
	err error
}

// background calls f on a goroutine of its own.
func background(f func() (int, error)) <-chan result {
	c := make(chan result, 1)
	go func() {
		n, err := f()
		c <- result{n, err}
	}()
	return c
}

// letters are n bytes that tell where they belong.
func letters(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}
