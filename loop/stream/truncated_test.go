package stream_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/stream"
)

// An upload that was cut off by a reset must not look like one that has ended, also
// while an answer waits to be sent.
func TestAnUploadThatIsCutOffIsAnErrorToReadAll(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	const tries = 20
	for _, answer := range []int{0, 1000, 16 << 20} {
		t.Run(fmt.Sprint("answer ", answer), func(t *testing.T) {
			kernels(t, func(t *testing.T, l *loop.Loop) {
				ln := listen(t, l, "tcp")
				defer ln.Close()
				whole := 0
				for i := range tries {
					// What was read leaves room for a part of what is being sent.
					read := min(answer, 1000+i*(100<<10))
					if cutOff(t, l, ln, answer, read) == nil {
						whole++
					}
				}
				if whole > 0 {
					t.Errorf("%d of %d uploads seemed to be whole", whole, tries)
				}
			})
		})
	}
}

// cutOff sends a part of an upload and resets, while an answer of that many bytes is
// being written of which the first bytes are read, and returns what ReadAll says.
func cutOff(t *testing.T, l *loop.Loop, ln net.Listener, answer, read int) error {
	t.Helper()
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		conn.(*stream.Conn).Abort()
		gone(t, conn.(*stream.Conn))
	}()
	if answer > 0 {
		written := make(chan struct{})
		go func() {
			defer close(written)
			conn.Write(make([]byte, answer)) // fails with the connection
		}()
		defer func() { <-written }()
		if answer > 1<<20 {
			until(t, l, "a full socket", func() bool { return stream.Full(conn) })
		}
		peer.SetReadDeadline(time.Now().Add(waitTimeout))
		if _, err := io.ReadFull(peer, make([]byte, read)); err != nil {
			t.Fatal(err)
		}
	}
	upload := make([]byte, 100<<10)
	write(t, peer, upload)
	conn.SetReadDeadline(time.Now().Add(waitTimeout))
	if _, err := io.ReadFull(conn, upload); err != nil {
		t.Fatal(err)
	}
	looptest.Turns(l, 5)
	if err := peer.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	peer.Close()
	_, err = io.ReadAll(conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, want ECONNRESET", err)
	}
	return err
}
