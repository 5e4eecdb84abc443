package unix_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

func TestS284_FilesArePassedOverAUnixSocket(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		from, to := rig.FDPair(t, l)
		r, w := rig.Pipe(t)
		looptest.Do(l, func() {
			tr := from.(transport.Transport)
			tr.Write([]byte("before"))
			if err := from.WriteWithFDs([]byte("with"), []*os.File{w, r}); err != nil {
				t.Error(err)
			}
			w.Close() // it was duplicated
			tr.Write([]byte("after"))
			if err := from.WriteWithFDs([]byte("!"), []*os.File{r}); err != nil {
				t.Error(err)
			}
		})
		rig.WaitData(t, l, to.Recorder, []byte("beforewithafter!"))
		if len(to.Files) != 3 || to.FilesLost {
			t.Fatalf("%d files, lost %v", len(to.Files), to.FilesLost)
		}
		if to.At[0] > len("before") || to.At[1] > len("before") ||
			to.At[2] > len("beforewithafter") {
			t.Errorf("the files came after %v bytes", to.At)
		}
		if _, err := to.Files[0].WriteString("hello"); err != nil {
			t.Error(err)
		}
		to.Files[0].Close()
		if b, err := io.ReadAll(to.Files[1]); string(b) != "hello" || err != nil {
			t.Errorf("read %q, %v", b, err)
		}
	})
}

// The descriptors of a message that has to wait for room go with its first byte.
func TestFilesQueueBehindWhatIsWritten(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		from, to := rig.FDPair(t, l)
		r, _ := rig.Pipe(t)
		big := bytes.Repeat([]byte("x"), 4<<20)
		looptest.Do(l, func() {
			to.Transport().PauseReading()
			tr := from.(transport.Transport)
			tr.Write(big)
			if err := from.WriteWithFDs(big, []*os.File{r}); err != nil {
				t.Error(err)
			}
			tr.Write([]byte("end"))
			if tr.WriteBufferSize() < len(big) || !tr.WritePaused() {
				t.Errorf("%d buffered, paused %v", tr.WriteBufferSize(), tr.WritePaused())
			}
		})
		looptest.Turns(l, 3)
		looptest.Do(l, func() { to.Transport().ResumeReading() })
		rig.WaitData(t, l, to.Recorder, append(append(bytes.Clone(big), big...), "end"...))
		if len(to.Files) != 1 || to.At[0] > len(big) {
			t.Errorf("%d files, after %v bytes", len(to.Files), to.At)
		}
	})
}

func TestQueuedFilesAreClosedWhenTheyCannotBeSent(t *testing.T) {
	for name, end := range map[string]func(transport.Transport, *rig.FDReceiver){
		"abort": func(tr transport.Transport, _ *rig.FDReceiver) { tr.Abort() },
		"peer":  func(_ transport.Transport, to *rig.FDReceiver) { to.Transport().Abort() },
	} {
		t.Run(name, func(t *testing.T) {
			rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
				from, to := rig.FDPair(t, l)
				r, w := rig.Pipe(t)
				tr := from.(transport.Transport)
				looptest.Do(l, func() {
					to.Transport().PauseReading()
					tr.Write(bytes.Repeat([]byte("x"), 4<<20))
					if err := from.WriteWithFDs([]byte("y"), []*os.File{w}); err != nil {
						t.Error(err)
					}
				})
				looptest.Turns(l, 3)
				w.Close()
				looptest.Do(l, func() { end(tr, to) })
				looptest.WaitFor(t, l, "the loss", func() bool { return tr.Protocol() == nil })
				// The last descriptor of the pipe's write end is closed: that is EOF.
				if b, err := io.ReadAll(r); len(b) != 0 || err != nil {
					t.Errorf("%q, %v", b, err)
				}
			})
		})
	}
}

func TestALoopThatIsClosedClosesQueuedFiles(t *testing.T) {
	r, w := rig.Pipe(t)
	f, peer := rig.SocketPair(t, syscall.SOCK_STREAM)
	defer peer.Close()
	l, err := loop.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := l.ConnectAcceptedSocket(t.Context(), &transporttest.Recorder{}, f, nil)
	if err != nil {
		t.Fatal(err)
	}
	// The loop does not run: nothing is sent.
	if err := tr.(transport.FDWriter).WriteWithFDs([]byte("y"), []*os.File{w}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); len(b) != 0 || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

func TestFilesThatNobodyTakesAreClosed(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		server, client := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
		rig.ConnectUnix(t, l, server, client)
		rig.AbortAtEnd(t, l, server, client)
		r, w := rig.Pipe(t)
		looptest.Do(l, func() {
			from := client.Transport().(transport.FDWriter)
			if err := from.WriteWithFDs([]byte("y"), []*os.File{w}); err != nil {
				t.Error(err)
			}
			w.Close()
		})
		rig.WaitData(t, l, server, []byte("y"))
		if b, err := io.ReadAll(r); len(b) != 0 || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	})
}

func TestWhatCannotBePassedIsRefused(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		from, _ := rig.FDPair(t, l)
		server, _ := rig.Pair(t, l)
		r, w := rig.Pipe(t)
		w.Close()
		many := make([]*os.File, 254)
		for i := range many {
			many[i] = r
		}
		looptest.Do(l, func() {
			tcp := server.Transport().(transport.FDWriter)
			for i, c := range []struct {
				t     transport.FDWriter
				p     string
				files []*os.File
				want  error
			}{
				{tcp, "x", []*os.File{r}, transport.ErrNotUnix},
				{from, "", []*os.File{r}, syscall.EINVAL},
				{from, "x", nil, syscall.EINVAL},
				{from, "x", many, syscall.EINVAL},
				{from, "x", []*os.File{r, w}, os.ErrClosed},
			} {
				if err := c.t.WriteWithFDs([]byte(c.p), c.files); !errors.Is(err, c.want) {
					t.Errorf("%d: %v, want %v", i, err, c.want)
				}
			}
			if err := from.WriteWithFDs([]byte("x"), many[:253]); err != nil {
				t.Errorf("253 files: %v", err)
			}
			from.(transport.Transport).Close()
			if err := from.WriteWithFDs([]byte("x"), many[:1]); !errors.Is(err, net.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
	})
}

// MSG_CTRUNC: the process may not have as many descriptors as it is sent.
func TestFilesBeyondTheLimitAreReportedAsLost(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		from, to := rig.FDPair(t, l)
		r, _ := rig.Pipe(t)
		var old syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
		looptest.Do(l, func() {
			if err := from.WriteWithFDs([]byte("x"), []*os.File{r, r, r, r}); err != nil {
				t.Error(err)
			}
			probe, err := syscall.Dup(int(os.Stderr.Fd()))
			if err != nil {
				t.Error(err)
			}
			syscall.Close(probe)
			// The four duplicates lie below the probe, and are closed once they are sent.
			limit := syscall.Rlimit{Cur: uint64(probe - 2), Max: old.Max}
			if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
				t.Error(err)
			}
		})
		looptest.WaitFor(t, l, "the bytes", func() bool { return to.Received() > 0 })
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
		if !to.FilesLost || len(to.Files) >= 4 {
			t.Errorf("%d files, lost %v", len(to.Files), to.FilesLost)
		}
	})
}

func TestABufferedProtocolTakesFiles(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		client, to := transporttest.NewRecorder(t), rig.NewFDReceiver(t)
		inner, _ := protocol.AsBuffered(to.Recorder.Buffered(3))
		p := &struct {
			protocol.BufferedProtocol
			protocol.FDReceiver
		}{inner, to}
		rig.ConnectUnix(t, l, protocol.Buffered(p), client)
		rig.AbortAtEnd(t, l, client, to.Recorder)
		r, _ := rig.Pipe(t)
		looptest.Do(l, func() {
			from := client.Transport().(transport.FDWriter)
			if err := from.WriteWithFDs([]byte("0123456789"), []*os.File{r}); err != nil {
				t.Error(err)
			}
		})
		rig.WaitData(t, l, to.Recorder, []byte("0123456789"))
		if len(to.Files) != 1 || to.At[0] != 0 {
			t.Errorf("%d files, after %v bytes", len(to.Files), to.At)
		}
	})
}

// A protocol is asked when it is put in place whether it takes files.
func TestSetProtocolBeginsAndEndsTheTakingOfFiles(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		server, client := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
		rig.ConnectUnix(t, l, server, client)
		r, _ := rig.Pipe(t)
		from := client.Transport().(transport.FDWriter)
		pass := func() {
			looptest.Do(l, func() {
				if err := from.WriteWithFDs([]byte("x"), []*os.File{r}); err != nil {
					t.Error(err)
				}
			})
		}
		tr := server.Transport()
		to := &rig.FDReceiver{Recorder: transporttest.Successor(t, tr)}
		looptest.Do(l, func() { tr.SetProtocol(to) })
		pass()
		rig.WaitData(t, l, to.Recorder, []byte("x"))
		last := transporttest.Successor(t, tr)
		looptest.Do(l, func() { tr.SetProtocol(last) })
		pass()
		rig.WaitData(t, l, last, []byte("x"))
		if len(to.Files) != 1 {
			t.Errorf("%d files were taken", len(to.Files))
		}
		for _, f := range to.Files {
			f.Close()
		}
		rig.AbortAtEnd(t, l, last, client)
	})
}

// Pausing inside FDsReceived holds the bytes back.
func TestFDsReceivedMayPauseAndClose(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		from, to := rig.FDPair(t, l)
		r, _ := rig.Pipe(t)
		looptest.Do(l, func() {
			to.OnFiles = func() { to.Transport().PauseReading() }
			if err := from.WriteWithFDs([]byte("x"), []*os.File{r}); err != nil {
				t.Error(err)
			}
		})
		looptest.WaitFor(t, l, "the file", func() bool { return len(to.Files) == 1 })
		looptest.Turns(l, 3)
		looptest.Do(l, func() {
			if to.Received() != 0 {
				t.Error("bytes while reading is paused")
			}
			to.OnFiles = func() { to.Transport().Close() }
			to.Transport().ResumeReading()
			if err := from.WriteWithFDs([]byte("y"), []*os.File{r}); err != nil {
				t.Error(err)
			}
		})
		rig.WaitLost(t, l, to.Recorder)
		if got := string(to.Data()); got != "x" || len(to.Files) != 2 {
			t.Errorf("%q and %d files", got, len(to.Files))
		}
	})
}

func TestAPanicInFDsReceivedEndsTheConnection(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		looptest.Expect(l, "fds_received")
		from, to := rig.FDPair(t, l)
		r, _ := rig.Pipe(t)
		looptest.Do(l, func() {
			to.OnFiles = func() { panic("planned") }
			from.WriteWithFDs([]byte("x"), []*os.File{r})
		})
		rig.WaitLost(t, l, to.Recorder)
		var panicked *protocol.PanicError
		if _, err := to.Lost(); !errors.As(err, &panicked) || panicked.Callback != "FDsReceived" {
			t.Errorf("lost by %v", err)
		}
	})
}

// Received descriptors do not leak into children.
func TestReceivedFilesAreCloseOnExec(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		from, to := rig.FDPair(t, l)
		r, _ := rig.Pipe(t)
		looptest.Do(l, func() {
			if err := from.WriteWithFDs([]byte("x"), []*os.File{r}); err != nil {
				t.Error(err)
			}
		})
		rig.WaitData(t, l, to.Recorder, []byte("x"))
		raw, err := to.Files[0].SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFD, 0)
			if errno != 0 || flags&syscall.FD_CLOEXEC == 0 {
				t.Errorf("flags %x, %v", flags, errno)
			}
		})
	})
}
