package server_test

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

const (
	// lingerSeconds is how long a close waits that waits.
	lingerSeconds = 20

	// stallMax is how long a round may take on a busy machine.
	stallMax = lingerSeconds * time.Second / 2
)

// pulseOf watches how long the rounds of l take, until stop is called, which fails the
// test where one took longer than stallMax: then the loop's thread waited, and all its
// other connections with it.
func pulseOf(t *testing.T, l *loop.Loop) (stop func()) {
	t.Helper()
	last, worst, running := time.Now(), time.Duration(0), true
	var beat func()
	beat = func() {
		worst, last = max(worst, time.Since(last)), time.Now()
		if running {
			l.CallLater(time.Millisecond, beat)
		}
	}
	looptest.Do(l, beat)
	return func() {
		t.Helper()
		looptest.Do(l, func() {
			beat()
			running = false
			if worst > stallMax {
				t.Errorf("the loop stood still for %v", worst)
			}
		})
	}
}

func setLinger(fd int) error {
	return syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER,
		&syscall.Linger{Onoff: 1, Linger: lingerSeconds})
}

func setBlocking(fd int) error { return syscall.SetNonblock(fd, false) }

// narrowListener listens for peers with a receive buffer that is soon full.
func narrowListener(t *testing.T) *net.TCPListener {
	t.Helper()
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		control := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
		})
		if control != nil {
			err = control
		}
		return err
	}}
	ln, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.(*net.TCPListener)
}

// unread is more than such a peer takes and less than a sender's kernel keeps.
const unread = 100_000

// unreadBy is a connection whose peer has not read what was written, all of which the
// kernel has.
func unreadBy(t *testing.T, l *loop.Loop) (c *rig.EndRecorder, peer net.Conn) {
	t.Helper()
	ln := narrowListener(t)
	c = &rig.EndRecorder{}
	if _, err := l.CreateConnection(rig.WithTimeout(t), c, ln.Addr().String(), nil); err != nil {
		t.Fatal(err)
	}
	peer, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	looptest.Do(l, func() { c.T.Write(make([]byte, unread)) })
	looptest.WaitFor(t, l, "the kernel", func() bool { return c.T.WriteBufferSize() == 0 })
	return c, peer
}

func TestLingerOfTheUserDoesNotStallTheLoop(t *testing.T) {
	for what, end := range map[string]func(t transport.Transport){
		"Close": func(t transport.Transport) { t.Close() },
		"Abort": func(t transport.Transport) { t.Abort() },
	} {
		t.Run(what, func(t *testing.T) {
			rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
				c, peer := unreadBy(t, l)
				rig.Control(t, l, c.T, setLinger)
				stop := pulseOf(t, l)
				looptest.Do(l, func() { end(c.T) })
				looptest.WaitFor(t, l, "the end", func() bool { return c.Gone })
				looptest.Turns(l, 3)
				stop()
				if n, err := io.Copy(io.Discard, peer); n != unread || err != nil {
					t.Errorf("the peer got %d bytes of %d, %v", n, unread, err)
				}
			})
		})
	}
}

// A time of 0 is no wait but a reset, which stays what the user asked for.
func TestLingerOfNoTimeResets(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		c, peer := unreadBy(t, l)
		rig.Control(t, l, c.T, func(fd int) error {
			return syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER,
				&syscall.Linger{Onoff: 1})
		})
		looptest.Do(l, func() { c.T.Close() })
		looptest.WaitFor(t, l, "the end", func() bool { return c.Gone })
		peer.SetDeadline(time.Now().Add(looptest.WaitTimeout))
		if _, err := io.Copy(io.Discard, peer); err == nil {
			t.Error("the peer saw an end in order")
		}
	})
}

// Accepted sockets inherit the option from a listener.
func TestLingerOfAListenerDoesNotStallTheLoop(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		var got *rig.EndRecorder
		s, err := l.CreateServer(rig.WithTimeout(t), func() protocol.Protocol {
			got = &rig.EndRecorder{}
			return got
		}, "127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		looptest.Do(l, func() {
			if err := setLinger(s.Sockets()[0]); err != nil {
				t.Error(err)
			}
		})
		peer, err := net.Dial("tcp", s.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		peer.(*net.TCPConn).SetReadBuffer(4096)
		looptest.WaitFor(t, l, "the client", func() bool { return got != nil && got.T != nil })
		looptest.Do(l, func() { got.T.Write(make([]byte, 3_000_000)) })
		stop := pulseOf(t, l)
		looptest.Do(l, func() { got.T.Abort() })
		looptest.WaitFor(t, l, "the end", func() bool { return got.Gone })
		looptest.Turns(l, 3)
		stop()
		if err := s.Shutdown(rig.WithTimeout(t)); err != nil {
			t.Error(err)
		}
	})
}

func TestABlockingListenerDoesNotStallTheLoop(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		s, err := l.CreateServer(rig.WithTimeout(t), rig.NewMirror, "127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			looptest.Do(l, func() {
				if err := setBlocking(s.Sockets()[0]); err != nil {
					t.Error(err)
				}
			})
			stuck := time.AfterFunc(stallMax+time.Second, func() { // lets it go on, late
				if c, err := net.Dial("tcp", s.Addrs()[0].String()); err == nil {
					c.Close()
				}
			})
			stop := pulseOf(t, l)
			if err := ask(s.Addrs()[0]); err != nil {
				t.Error(err)
			}
			looptest.Turns(l, 3)
			stop()
			stuck.Stop()
		}
		if err := s.Shutdown(rig.WithTimeout(t)); err != nil {
			t.Error(err)
		}
	})
}

// TestABlockingSocketDoesNotStallTheLoop makes the socket of a connection blocking, as a
// user can, while its peer neither reads nor sends. docs/system-calls.md says what keeps
// each call from waiting; most of it is in loop/internal/sys.
func TestABlockingSocketDoesNotStallTheLoop(t *testing.T) {
	big := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(big, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, write := range map[string]func(l *loop.Loop, tr transport.Transport) (end func()){
		"Write": func(_ *loop.Loop, tr transport.Transport) func() {
			tr.Write(make([]byte, 4<<20))
			return func() {}
		},
		"Sendfile": func(l *loop.Loop, tr transport.Transport) func() {
			f, err := os.Open(big)
			if err != nil {
				return func() {}
			}
			l.SendfileFunc(context.Background(), tr, f, 0, -1, func(int64, error) {})
			return func() { f.Close() }
		},
	} {
		t.Run(what, func(t *testing.T) {
			rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
				c, peer := unreadBy(t, l)
				rig.Control(t, l, c.T, setBlocking)
				stuck := time.AfterFunc(stallMax+time.Second, func() { peer.Close() })
				stop := pulseOf(t, l)
				var end func()
				looptest.Do(l, func() { end = write(l, c.T) })
				if _, err := peer.Write([]byte("x")); err != nil {
					t.Error(err)
				}
				looptest.WaitFor(t, l, "input", func() bool { return c.Got == 1 || c.Gone })
				looptest.Turns(l, 3)
				stop()
				stuck.Stop()
				looptest.Do(l, func() { c.T.Abort() })
				looptest.WaitFor(t, l, "the end", func() bool { return c.Gone })
				end()
			})
		})
	}
}

// TestABlockingPipeDoesNotStallTheLoop has somebody who shares a pipe's open file make
// it blocking. Nobody reads.
func TestABlockingPipeDoesNotStallTheLoop(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		shared, err := syscall.Dup(int(w.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(shared)
		if err := syscall.SetNonblock(shared, true); err != nil { // as Fd has changed it
			t.Fatal(err)
		}
		p := &rig.EndRecorder{}
		if _, err := l.ConnectWritePipe(rig.WithTimeout(t), p, w); err != nil {
			t.Fatal(err)
		}
		stuck := time.AfterFunc(stallMax+time.Second, func() { r.Close() })
		stop := pulseOf(t, l)
		for range 3 {
			if err := setBlocking(shared); err != nil {
				t.Fatal(err)
			}
			looptest.Do(l, func() { p.T.Write(make([]byte, 200_000)) })
			looptest.Turns(l, 3)
		}
		stop()
		stuck.Stop()
		looptest.Do(l, func() { p.T.Abort() })
		looptest.WaitFor(t, l, "the end", func() bool { return p.Gone })
	})
}

// waitsAtClose is a file whose last close waits: a socket with SO_LINGER and output that
// its peer does not read.
func waitsAtClose(t *testing.T) *os.File {
	t.Helper()
	ln := narrowListener(t)
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	peer, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	if _, err := c.Write(make([]byte, unread)); err != nil {
		t.Fatal(err)
	}
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	if err := setLinger(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestDescriptorThatIsDroppedDoesNotStallTheLoop has a descriptor of the user's wait for
// room, so that the loop's duplicate is the last when the connection ends.
func TestDescriptorThatIsDroppedDoesNotStallTheLoop(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		ln := rig.Listener(t, rig.SocketPath(t))
		defer ln.Close()
		c := &rig.EndRecorder{}
		_, err := l.CreateUnixConnection(rig.WithTimeout(t), c, ln.Addr().String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		peer, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		f := waitsAtClose(t)
		looptest.Do(l, func() {
			c.T.Write(make([]byte, 4<<20)) // more than there is room for
			fds := c.T.(transport.FDWriter)
			if err := fds.WriteWithFDs([]byte("x"), []*os.File{f}); err != nil {
				t.Error(err)
			}
		})
		f.Close()
		stop := pulseOf(t, l)
		looptest.Do(l, func() { c.T.Abort() })
		looptest.WaitFor(t, l, "the end", func() bool { return c.Gone })
		looptest.Turns(l, 3)
		stop()
	})
}
