package stream_test

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/stream"
)

// lastSecond is the last one that a time.Time can be: they count from the year 1.
const lastSecond = math.MaxInt64 - 62135596800

func TestDeadlinesAtTheEndsOfTheirRange(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		for _, at := range []time.Time{time.Now().Add(math.MaxInt64), time.Unix(1<<60, 0),
			time.Unix(lastSecond, 999_999_999), time.Unix(lastSecond/2, 0)} {
			if err := errors.Join(client.SetDeadline(at), server.SetDeadline(at)); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() {
				_, err := io.ReadFull(server, make([]byte, 4))
				done <- err
			}()
			_, err := client.Write([]byte("ping"))
			if err := errors.Join(err, <-done); err != nil {
				t.Errorf("until %v: %v", at, err)
			}
		}
		for _, at := range []time.Time{time.Unix(math.MinInt64>>2, 0), time.Unix(0, math.MinInt64),
			time.Now().Add(math.MinInt64)} {
			server.SetDeadline(at)
			if _, err := server.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("since %v: %v", at, err)
			}
		}
		server.SetDeadline(time.Time{})
	})
}

func TestDeadlinesAreErrorsThatSaySo(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		client.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := client.Read(make([]byte, 1))
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("a read that is overdue: %v", err)
		}
		write(t, client, []byte("x")) // the other half goes on
		client.SetReadDeadline(time.Time{})
		write(t, server, []byte("y"))
		want(t, client, []byte("y"))
	})
}
