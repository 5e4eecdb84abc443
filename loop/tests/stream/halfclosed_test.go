package stream_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/exacttest"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// A peer that has sent FIN and does not read: what waits for room in its window waits
// for as long as it likes, and nothing may run meanwhile. Each case has output that
// the kernel does not take.

// quiet is how long nothing must happen, and what it may cost nevertheless: the timer
// that ends it, and whatever the runtime does.
const (
	quiet         = 40 * time.Millisecond
	quietSyscalls = 10
	quietCPU      = 20 * time.Millisecond
)

// wantQuiet checks that the loop makes no system calls and the process uses no
// processor, in the best of a few intervals: a loop that spins does so in all of
// them, while the runtime may collect garbage in one.
func wantQuiet(t *testing.T, l *loop.Loop, what string) {
	t.Helper()
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // what the collector takes is not the loop's
	looptest.Pass(t, l, 20*time.Millisecond)         // what was begun ends
	calls, cpu := uint64(1<<62), time.Hour
	for range 3 {
		before, used := loopStats(l), processorTime(t)
		looptest.Pass(t, l, quiet)
		after := loopStats(l)
		calls = min(calls, after.Syscalls-before.Syscalls)
		cpu = min(cpu, processorTime(t)-used)
		if calls <= quietSyscalls && cpu <= quietCPU {
			return
		}
	}
	t.Errorf("%s: %d system calls and %v of a processor in %v in which nothing happened",
		what, calls, cpu, quiet)
}

func loopStats(l *loop.Loop) (s loop.Stats) {
	looptest.Do(l, func() { s = l.Stats() })
	return s
}

// processorTime is what the process has used so far, the kernel's workers for its
// ring included.
func processorTime(t *testing.T) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		t.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// halfClosed connects conns whose ends of file are survived, and has the peers send
// FIN before or after full has made output wait.
func halfClosed(t *testing.T, l *loop.Loop, network string, early bool,
	full func(tr transport.Transport)) []rig.OutsideConn {
	conns := rig.OutsideConns(t, l, network, 2)
	looptest.Do(l, func() {
		for _, g := range conns {
			g.On.EOF = func() bool { return true }
		}
	})
	shut := func() {
		for _, g := range conns {
			if err := g.Peer.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Error(err)
			}
		}
		for _, g := range conns {
			looptest.WaitFor(t, l, "the end of file", g.GotEOF)
		}
	}
	if early {
		shut()
	}
	looptest.Do(l, func() {
		for _, g := range conns {
			full(g.Transport())
		}
	})
	looptest.Turns(l, drips+5)
	if !early {
		shut()
	}
	return conns
}

func TestAHalfClosedPeerThatDoesNotReadCostsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, make([]byte, 16<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	const size = 8 << 20
	ways := map[string]func(t *testing.T, l *loop.Loop, tr transport.Transport){
		"Write": func(_ *testing.T, _ *loop.Loop, tr transport.Transport) {
			tr.Write(make([]byte, size))
		},
		"little by little": func(_ *testing.T, l *loop.Loop, tr transport.Transport) {
			drip(l, tr, drips)
		},
		"WriteLines": func(_ *testing.T, _ *loop.Loop, tr transport.Transport) {
			tr.WriteLines([][]byte{make([]byte, size/2), make([]byte, size/2)})
		},
		"WriteOwned": func(_ *testing.T, _ *loop.Loop, tr transport.Transport) {
			tr.(transport.OwnedWriter).WriteOwned(make([]byte, size), nil)
		},
		"WriteEOF": func(_ *testing.T, _ *loop.Loop, tr transport.Transport) {
			tr.Write(make([]byte, size))
			tr.WriteEOF()
		},
		"Close": func(_ *testing.T, _ *loop.Loop, tr transport.Transport) {
			tr.Write(make([]byte, size))
			tr.Close()
		},
		"Sendfile": func(t *testing.T, l *loop.Loop, tr transport.Transport) {
			sendWholeFile(t, l, tr, file)
		},
		"Write before Sendfile": func(t *testing.T, l *loop.Loop, tr transport.Transport) {
			tr.Write(make([]byte, size))
			sendWholeFile(t, l, tr, file)
		},
	}
	for name, way := range ways {
		for _, network := range []string{"tcp", "unix"} {
			for when, early := range map[string]bool{"before": true, "after": false} {
				if name == "Close" && !early {
					continue // nobody is told of the end of file any more
				}
				if !rig.Long() && early != (network == "unix") {
					continue
				}
				t.Run(name+" "+network+" "+when, func(t *testing.T) {
					rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
						halfClosed(t, l, network, early, func(tr transport.Transport) {
							way(t, l, tr)
						})
						wantQuiet(t, l, "half-closed and full")
					})
				})
			}
		}
	}
}

// A server that greets whoever comes with more than the kernel takes, in a chain of
// writes that each go to the kernel by themselves; the client sends FIN soon.
func TestAClientThatOnlyConnectsAndHalfClosesCostsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for _, size := range []int{1 << 10, 32 << 10, 64 << 10, 1 << 20} {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(fmt.Sprint(size, " ", network), func(t *testing.T) {
				rig.OnKernels(t, func(t *testing.T, l *loop.Loop) { greet(t, l, network, size) })
			})
		}
	}
}

// greet connects such clients to a server that writes slices of size bytes.
func greet(t *testing.T, l *loop.Loop, network string, size int) {
	const clients = 40
	full := 0
	factory := func() protocol.Protocol {
		r := transporttest.NewRecorder(t)
		r.On.EOF = func() bool { return true }
		r.On.Pause = func() { full++ }
		r.On.Made = func(tr transport.Transport) {
			rig.AbortAtEnd(t, l, r)
			greeting := make([]byte, size)
			var more func()
			more = func() {
				tr.Write(greeting)
				if !tr.WritePaused() && !tr.IsClosing() {
					l.CallSoon(more)
				}
			}
			for !tr.WritePaused() && size < 64<<10 {
				tr.Write(greeting)
			}
			more()
		}
		return r
	}
	var s *loop.Server
	var err error
	if network == "unix" {
		s, err = l.CreateUnixServer(t.Context(), factory, rig.SocketPath(t), nil)
	} else {
		s, err = l.CreateServer(t.Context(), factory, "127.0.0.1:0", nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var shut sync.WaitGroup
	for i := range clients {
		c, err := net.Dial(network, s.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		shut.Go(func() { // at once, or when more was written
			<-time.After(time.Duration(i/4) * 200 * time.Microsecond)
			if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Error(err)
			}
		})
	}
	shut.Wait()
	looptest.WaitFor(t, l, "full sockets", func() bool { return full == clients })
	wantQuiet(t, l, "greeted and half-closed")
}

// drip writes 64 KiB in each of n rounds.
// drips is how many slices and rounds drip takes.
const drips = 200

func drip(l *loop.Loop, tr transport.Transport, n int) {
	if n > 0 {
		tr.Write(make([]byte, 64<<10))
		l.CallSoon(func() { drip(l, tr, n-1) })
	}
}

func sendWholeFile(t *testing.T, l *loop.Loop, tr transport.Transport, name string) {
	f, err := os.Open(name)
	if err != nil {
		t.Error(err)
		return
	}
	l.SendfileFunc(t.Context(), tr, f, 0, -1, func(int64, error) { f.Close() })
}

// The peer goes away in the half-closed state while it is full, which is also the
// loop's last word on it.
func TestAHalfClosedPeerIsServedWhenItReadsAtLast(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
				const size = 16 << 20
				conns := halfClosed(t, l, network, false, func(tr transport.Transport) {
					tr.Write(exacttest.Bytes(size, 1, 0))
				})
				looptest.Do(l, func() {
					for _, g := range conns {
						g.Transport().Close()
					}
				})
				wantQuiet(t, l, "half-closed and full")
				for i, g := range conns {
					if err := rig.ReadToEnd(g.Peer, size, 1); err != nil {
						t.Errorf("connection %d: %v", i, err)
					}
					rig.WaitLostWith(t, l, g.Recorder, nil)
				}
			})
		})
	}
}

// AddWriter on a socket that is full calls nobody, whatever the peer has shut.
func TestAddWriterOfAHalfClosedSocketThatIsFullCostsNothing(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		called := 0
		for range 5 {
			fd, peer := fullSocket(t)
			if err := peer.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			looptest.Do(l, func() {
				if err := l.AddWriter(fd, func() { called++ }); err != nil {
					t.Error(err)
				}
			})
			t.Cleanup(func() { looptest.Do(l, func() { l.RemoveWriter(fd) }) })
		}
		wantQuiet(t, l, "watched for writing")
		if called > 0 {
			t.Errorf("called %d times, though there is no room", called)
		}
	})
}

// fullSocket returns a descriptor, closed at the end of the test, of a TCP connection
// whose peer does not read and to which nothing more can be written.
func fullSocket(t *testing.T) (fd int, peer *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	other, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	f, err := other.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(d uintptr) {
		fd = int(d)
		for size := 64 << 10; size > 0; size /= 16 {
			for k := 1; k > 0; {
				k, _ = syscall.Write(fd, make([]byte, size))
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return fd, c.(*net.TCPConn)
}

// The same for a pipe, whose reader is only slow: there is no half of it to close.
func TestAPipeWhoseReaderDoesNotReadCostsNothing(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		for range 5 {
			_, w := rig.Pipe(t)
			r := transporttest.NewRecorder(t)
			rig.WritePipe(t, l, r, w)
			rig.AbortAtEnd(t, l, r)
			looptest.Do(l, func() { r.Transport().Write(make([]byte, 1<<20)) })
		}
		wantQuiet(t, l, "full pipes")
	})
}
