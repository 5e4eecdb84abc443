package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
	"golang.org/x/sys/unix"
)

func newCounting() protocol.Protocol { return &rig.CountingProtocol{} }

// neitherReads makes a connection of which neither end reads, with input at the server's.
func neitherReads(t *testing.T, l *loop.Loop) (server, client *transporttest.Recorder) {
	t.Helper()
	server, client = transporttest.NewRecorder(t), transporttest.NewRecorder(t)
	for _, r := range []*transporttest.Recorder{server, client} {
		r.On.Made = func(tr transport.Transport) { tr.PauseReading() }
	}
	rig.ConnectTCP(t, l, server, client)
	rig.AbortAtEnd(t, l, server, client)
	looptest.Do(l, func() { client.Transport().Write([]byte("never read")) })
	looptest.Pass(t, l, 10*time.Millisecond)
	return server, client
}

// closeUnread has the server write and close, and the client read all that it can.
func closeUnread(t *testing.T, l *loop.Loop, server, client *transporttest.Recorder,
	output []byte) {
	t.Helper()
	looptest.Do(l, func() {
		server.Transport().Write(output)
		server.Transport().Close()
	})
	rig.WaitLost(t, l, server)
	if lost, err := server.Lost(); !lost || err != nil {
		t.Errorf("the server's ConnectionLost(%v)", err)
	}
	looptest.Pass(t, l, 10*time.Millisecond)
	if got := client.Trace(); got != "made" {
		t.Errorf("the client, which does not read, saw %s", got)
	}
	looptest.Do(l, client.Transport().ResumeReading)
	rig.WaitLost(t, l, client)
	if _, err := client.Lost(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client's ConnectionLost(%v)", err)
	}
	if !bytes.HasPrefix(output, client.Data()) {
		t.Error("the client received what was not sent")
	}
}

func TestS013_ClosingWithUnreadInputResetsAfterTheOutputThatArrived(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := neitherReads(t, l)
		output := bytes.Repeat([]byte("reply "), 5000)
		closeUnread(t, l, server, client, output)
		if n := client.Received(); n != len(output) {
			t.Errorf("the client received %d bytes of %d", n, len(output))
		}
	})
}

// The kernel takes more than it can send to a peer that does not read.
func TestS013_ClosingWithUnreadInputLosesWhatHadNotLeft(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		server, client := neitherReads(t, l)
		looptest.Do(l, func() {
			rig.SetOption(t, server.Transport(), syscall.SO_SNDBUF, 2<<20)
		})
		output := bytes.Repeat([]byte("reply "), 1<<20/6)
		closeUnread(t, l, server, client, output)
		if n := client.Received(); n == 0 || n >= len(output) {
			t.Errorf("the client received %d bytes of %d", n, len(output))
		}
	})
}

// dialBlocked connects while the loop's goroutine is busy with it: the kernel
// has the connection in the backlog, the loop cannot know of it.
func dialBlocked(t *testing.T, a *rig.Accepting) *net.TCPConn {
	c, err := net.Dial("tcp", a.Addrs()[0].String())
	if err != nil {
		t.Error(err)
		return nil
	}
	return c.(*net.TCPConn)
}

func TestS233_ConnectionsInTheBacklogAtCloseAreClosed(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		var waiting []*net.TCPConn
		looptest.Do(l, func() {
			for range 5 {
				if c := dialBlocked(t, a); c != nil {
					waiting = append(waiting, c)
				}
			}
			a.Close()
		})
		if err := a.WaitClosed(rig.WithTimeout(t)); err != nil {
			t.Error(err)
		}
		for _, c := range waiting {
			c.SetReadDeadline(time.Now().Add(looptest.WaitTimeout))
			_, err := c.Read(make([]byte, 1))
			if err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("a connection of the backlog reads %v", err)
			}
			c.Close()
		}
		if len(a.Got) != 0 {
			t.Errorf("%d connections were made by a closed server", len(a.Got))
		}
	})
}

// A listening socket's TCP_INFO has the length of its queue where a connection has
// what the peer acknowledged (tcp_get_info in net/ipv4/tcp.c).
func TestS244_BacklogIsTheLengthOfTheAcceptQueue(t *testing.T) {
	most, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		t.Fatal(err)
	}
	bound, err := strconv.Atoi(strings.TrimSpace(string(most)))
	if err != nil {
		t.Fatal(err)
	}
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		for asked, want := range map[int]int{0: min(4096, bound), 7: 7, 1 << 20: bound} {
			a := rig.Serve(t, l, "", &loop.ServerOptions{Backlog: asked})
			fd := -1
			looptest.Do(l, func() { fd = a.Sockets()[0] })
			info, err := unix.GetsockoptTCPInfo(fd, unix.SOL_TCP, unix.TCP_INFO)
			if err != nil {
				t.Fatal(err)
			}
			if int(info.Sacked) != want {
				t.Errorf("Backlog %d: room for %d, want %d", asked, info.Sacked, want)
			}
		}
	})
}

func TestS251_ResetBeforeTheAccept(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		looptest.Do(l, func() {
			if c := dialBlocked(t, a); c != nil {
				c.SetLinger(0)
				c.Close()
			}
		})
		looptest.WaitFor(t, l, "the accept", func() bool {
			return len(a.Got) == 1 && a.Got[0].Transport() != nil
		})
		rig.WaitLost(t, l, a.Got[0])
		if _, err := a.Got[0].Lost(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("ConnectionLost(%v)", err)
		}
		a.Dial() // the server goes on
	})
}

func TestS394_SeveralLoopsServeOnePort(t *testing.T) {
	for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
		t.Run(engine.String(), func(t *testing.T) { shareAPort(t, engine) })
	}
}

// shareAPort runs two loops with a server each until both have served.
func shareAPort(t *testing.T, engine loop.Engine) {
	rig.KernelLoop(t, engine) // skips the test where the engine is not to be had
	var served [2]atomic.Int32
	var number atomic.Int32
	ctx, cancel := context.WithTimeout(t.Context(), looptest.WaitTimeout)
	defer cancel()
	addr := make(chan string, 1)
	o := loop.Options{Engine: engine, Loops: 2}
	err := o.Run(ctx, func(ctx context.Context, l *loop.Loop) error {
		n := number.Add(1) - 1
		at := "127.0.0.1:0"
		if n > 0 {
			at = <-addr
		}
		s, err := l.CreateServer(ctx, func() protocol.Protocol {
			served[n].Add(1)
			return &rig.Mirror{}
		}, at, &loop.ServerOptions{ReusePort: true})
		if err != nil {
			return err
		}
		if n == 0 {
			addr <- s.Addrs()[0].String()
			return ignore(s.ServeForever(ctx))
		}
		for served[0].Load() == 0 || served[1].Load() == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			tryEcho(t, at)
		}
		cancel()
		return nil
	})
	if err != nil {
		t.Errorf("served %d and %d connections: %v", served[0].Load(), served[1].Load(), err)
	}
}

// ignore is err but for the planned end.
func ignore(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
