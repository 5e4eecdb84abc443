package stream_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/stream"
)

// fileOf makes a file.
func fileOf(t *testing.T, data []byte) *os.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestReadFromSendsFilesInTheirPlace(t *testing.T) {
	data := letters(1 << 20)
	for name, on := range map[string]func(*testing.T,
		func(*testing.T, *loop.Loop, *stream.Conn, *stream.Conn)){
		"plain": pairs, "TLS": kernelPairs} {
		t.Run(name, func(t *testing.T) {
			on(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
				if name == "TLS" {
					startTLS(t, client, server)
				}
				f := fileOf(t, data)
				sending := background(func() (int, error) {
					write(t, client, []byte("before"))
					part, err := client.ReadFrom(io.LimitReader(f, 1000))
					if part != 1000 || err != nil {
						t.Errorf("a part: %d, %v", part, err)
					}
					rest, err := client.ReadFrom(f)
					write(t, client, []byte("after"))
					return int(rest), err
				})
				want(t, server, []byte("before"))
				want(t, server, data)
				want(t, server, []byte("after"))
				if r := soon(t, "the file", sending); r.n != len(data)-1000 || r.err != nil {
					t.Errorf("the rest: %d, %v", r.n, r.err)
				}
				if at, _ := f.Seek(0, io.SeekCurrent); at != int64(len(data)) {
					t.Errorf("the file's position is %d", at)
				}
			})
		})
	}
}

func TestReadFromTakesAnyReader(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		data := letters(300_000)
		sending := background(func() (int, error) {
			n, err := client.ReadFrom(struct{ io.Reader }{bytes.NewReader(data)})
			return int(n), err
		})
		want(t, server, data)
		if r := soon(t, "the copy", sending); r.n != len(data) || r.err != nil {
			t.Errorf("ReadFrom: %d, %v", r.n, r.err)
		}
	})
}

func TestASendingFileEndsWithItsDeadlineAndWithClose(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		f := fileOf(t, nil) // of more zeros than the kernel's buffers hold, twice
		if err := os.Truncate(f.Name(), 256<<20); err != nil {
			t.Fatal(err)
		}
		server.SetReadLimit(1)
		send := func() <-chan result {
			c := background(func() (int, error) {
				n, err := client.ReadFrom(f)
				return int(n), err
			})
			until(t, l, "a writer", func() bool { _, w := stream.Waits(client); return w })
			return c
		}
		overdue := send()
		until(t, l, "a pause", func() bool { return !stream.Reading(server) })
		client.SetWriteDeadline(time.Now().Add(time.Millisecond))
		r := soon(t, "the deadline", overdue)
		if timeout, ok := r.err.(net.Error); !ok || !timeout.Timeout() {
			t.Errorf("overdue: %v", r.err)
		}
		if at, _ := f.Seek(0, io.SeekCurrent); at != int64(r.n) || r.n == 0 {
			t.Errorf("%d bytes were sent, the position is %d", r.n, at)
		}
		want(t, server, make([]byte, r.n))
		client.SetWriteDeadline(time.Time{})
		closed := send()
		client.Close()
		wantErr(t, "Close", soon(t, "Close", closed).err, net.ErrClosed)
	})
}

func TestWriteToCopiesUpToTheEnd(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		data := letters(500_000)
		sending := background(func() (int, error) {
			n, err := client.Write(data)
			client.CloseWrite()
			return n, err
		})
		var got bytes.Buffer
		if n, err := server.WriteTo(&got); n != int64(len(data)) || err != nil {
			t.Errorf("WriteTo: %d, %v", n, err)
		}
		if !bytes.Equal(got.Bytes(), data) {
			t.Error("other bytes than were sent")
		}
		if r := soon(t, "the write", sending); r.err != nil {
			t.Error(r.err)
		}
		write(t, server, []byte("x"))
		client.Close()
	})
}

func TestSyscallConnIsTheDescriptor(t *testing.T) {
	kernels(t, func(t *testing.T, l *loop.Loop) {
		client, _ := pair(t, l)
		raw, err := client.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		nodelay := 0
		if err := raw.Control(func(fd uintptr) {
			nodelay, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY)
		}); err != nil {
			t.Error(err)
		}
		if nodelay != 1 || err != nil {
			t.Errorf("TCP_NODELAY is %d, %v", nodelay, err)
		}
		client.Close()
		gone(t, client)
		if err := raw.Control(func(uintptr) {}); err != net.ErrClosed {
			t.Errorf("Control after the end: %v", err)
		}
	})
}
