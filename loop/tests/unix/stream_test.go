package unix_test

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// fullServer listens at a path, does not accept, and has a full queue.
func fullServer(t *testing.T, path string) (listener int) {
	t.Helper()
	socket := func() int {
		fd, err := syscall.Socket(syscall.AF_UNIX,
			syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Close(fd) })
		return fd
	}
	addr := &syscall.SockaddrUnix{Name: path}
	listener = socket()
	if err := errors.Join(syscall.Bind(listener, addr), syscall.Listen(listener, 0)); err != nil {
		t.Fatal(err)
	}
	for {
		err := syscall.Connect(socket(), addr)
		if err == syscall.EAGAIN {
			return listener
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAConnectionWaitsForRoomInAUnixServersQueue(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		path := rig.SocketPath(t)
		listener := fullServer(t, path)
		r := transporttest.NewRecorder(t)
		rig.AbortAtEnd(t, l, r)
		ended := make(chan error, 1)
		looptest.Do(l, func() {
			l.CreateUnixConnectionFunc(t.Context(), r, path, nil,
				func(_ transport.Transport, err error) { ended <- err })
		})
		looptest.Pass(t, l, 50*time.Millisecond)
		select {
		case err := <-ended:
			t.Fatalf("connected, or not, with a full queue: %v", err)
		default:
		}
		fd, _, err := syscall.Accept(listener)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Close(fd) })
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("with room in the queue: %v", err)
			}
		case <-time.After(looptest.WaitTimeout):
			t.Error("not connected although there is room")
		}
	})
}

func TestACancelledUnixConnectionLeavesNothing(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		path := rig.SocketPath(t)
		fullServer(t, path)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := l.CreateUnixConnection(ctx, transporttest.NewRecorder(t), path, nil)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the context's error", err)
		}
	})
}

func TestUnixCloseWithUnreadInputIsAResetForThePeer(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		path := rig.SocketPath(t)
		a := rig.ServeUnix(t, l, path, nil)
		client := transporttest.NewRecorder(t)
		client.On.Made = func(tr transport.Transport) { tr.PauseReading() }
		tr, err := l.CreateUnixConnection(rig.WithTimeout(t), client, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		looptest.WaitFor(t, l, "the accept", func() bool { return len(a.Got) > 0 })
		looptest.Do(l, func() { a.Got[0].Transport().Write([]byte("unread")) })
		looptest.WaitFor(t, l, "the send", func() bool {
			return a.Got[0].Transport().WriteBufferSize() == 0
		})
		looptest.Do(l, tr.Abort)
		rig.WaitLost(t, l, client)
		rig.WaitLost(t, l, a.Got[0])
		_, err = a.Got[0].Lost()
		unixError(t, err, "read", syscall.ECONNRESET)
	})
}

func TestManyUnixConnections(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.ServeUnix(t, l, rig.SocketPath(t), nil)
		var clients []*transporttest.Recorder
		for range 100 {
			server, client := a.DialUnix()
			looptest.Do(l, func() {
				server.On.Data = func(data []byte) { server.Transport().Write(data) }
				client.Transport().Write([]byte("hello"))
			})
			clients = append(clients, client)
		}
		for _, client := range clients {
			looptest.WaitFor(t, l, "the echo", func() bool { return client.Received() == 5 })
		}
	})
}

// echo is a protocol that sends everything back, and closes after EOF.
type echo struct {
	protocol.Base
	t transport.Transport
}

func (p *echo) ConnectionMade(t transport.Transport) { p.t = t }
func (p *echo) DataReceived(data []byte)             { p.t.Write(data) }

// program runs a program with input and returns its output.
func program(t *testing.T, input []byte, name string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip("needs " + name)
	}
	cmd := exec.CommandContext(rig.WithTimeout(t), path, args...)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return out
}

func TestAUnixServerServesNetcatAndSocat(t *testing.T) {
	input := bytes.Repeat([]byte("all work and no play\n"), 50_000)
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		file, abstract := rig.SocketPath(t), "@"+rig.SocketPath(t)
		for _, path := range []string{file, abstract} {
			s, err := l.CreateUnixServer(rig.WithTimeout(t),
				func() protocol.Protocol { return &echo{} }, path, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
		}
		for name, args := range map[string][]string{
			"file":     {"-t10", "-", "UNIX-CONNECT:" + file},
			"abstract": {"-t10", "-", "ABSTRACT-CONNECT:" + abstract[1:]},
		} {
			t.Run("socat_"+name, func(t *testing.T) {
				if out := program(t, input, "socat", args...); !bytes.Equal(out, input) {
					t.Errorf("%d bytes came back of %d", len(out), len(input))
				}
			})
		}
		t.Run("nc", func(t *testing.T) {
			out := program(t, input, "nc", "-N", "-U", file)
			if !bytes.Equal(out, input) {
				t.Errorf("%d bytes came back of %d", len(out), len(input))
			}
		})
	})
}

func TestAUnixClientTalksToSocat(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		socat, err := exec.LookPath("socat")
		if err != nil {
			t.Skip("needs socat")
		}
		path := rig.SocketPath(t)
		cmd := exec.CommandContext(rig.WithTimeout(t), socat, "UNIX-LISTEN:"+path, "PIPE")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait()
		r := transporttest.NewRecorder(t)
		rig.AbortAtEnd(t, l, r)
		for {
			_, err = l.CreateUnixConnection(rig.WithTimeout(t), r, path, nil)
			if !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.ECONNREFUSED) {
				break
			}
			looptest.Pass(t, l, time.Millisecond)
		}
		if err != nil {
			t.Fatal(err)
		}
		looptest.Do(l, func() {
			c, ok := transport.PeerCred(r.Transport())
			if !ok || c.PID != cmd.Process.Pid {
				t.Errorf("%+v, socat is process %d", c, cmd.Process.Pid)
			}
			r.Transport().Write([]byte("hello"))
			if err := r.Transport().WriteEOF(); err != nil {
				t.Error(err)
			}
		})
		rig.WaitLost(t, l, r)
		if string(r.Data()) != "hello" {
			t.Errorf("socat sent back %q", r.Data())
		}
	})
}

func TestAUnixWriteToADeadPeerIsEPIPE(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		path := rig.SocketPath(t)
		a := rig.ServeUnix(t, l, path, nil)
		client := transporttest.NewRecorder(t)
		client.On.Made = func(tr transport.Transport) { tr.PauseReading() } // sees no EOF
		tr, err := l.CreateUnixConnection(rig.WithTimeout(t), client, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		looptest.WaitFor(t, l, "the accept", func() bool { return len(a.Got) > 0 })
		looptest.Do(l, a.Got[0].Transport().Abort)
		rig.WaitLost(t, l, a.Got[0])
		looptest.Do(l, func() { tr.Write([]byte("anybody?")) })
		rig.WaitLost(t, l, client)
		_, err = client.Lost()
		unixError(t, err, "write", syscall.EPIPE)
	})
}

func TestUnixWithoutDescriptors(t *testing.T) {
	n := looptest.New(t, looptest.Options{Faults: looptest.Faults{NoSocket: 1}})
	unixError(t, serveError(t, n.Loop, "/socket", nil), "listen", syscall.EMFILE)
	unixError(t, dialError(t, n.Loop, "/socket"), "dial", syscall.EMFILE)
}

func TestUnixServerTriesABusyNameAgain(t *testing.T) {
	n := looptest.New(t, looptest.Options{Faults: looptest.Faults{BindBusy: 1}})
	looptest.Do(n.Loop, func() {
		n.CallLater(50*time.Millisecond, func() { n.SetFaults(looptest.Faults{}) })
	})
	rig.ServeUnix(t, n.Loop, "@name", nil).DialUnix()
}
