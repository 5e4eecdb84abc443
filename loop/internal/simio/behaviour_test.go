package simio

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// recv receives once.
func (r *rig) recv(fd int) (int, string) {
	r.Helper()
	op := &proactor.Op{Code: proactor.Recv, FD: fd, Buf: make([]byte, 64)}
	n := r.do(op)
	return n, string(op.Buf[:max(0, n)])
}

// send sends b.
func (r *rig) send(fd int, b string) int {
	r.Helper()
	return r.do(&proactor.Op{Code: proactor.Send, FD: fd, Buf: []byte(b)})
}

func TestHalfClose(t *testing.T) {
	r := newRig(t, Options{})
	fd, p := r.accepted()
	p.Send([]byte("question"))
	p.CloseWrite()
	r.turn(time.Second)
	if n, s := r.recv(fd); s != "question" {
		t.Errorf("received %d, %q", n, s)
	}
	if n, _ := r.recv(fd); n != 0 {
		t.Errorf("at the end: %d", n)
	}
	r.send(fd, "answer")
	r.must(r.ShutdownWrite(fd))
	r.until("the end is there", p.EOF)
	if got := string(p.Received()); got != "answer" {
		t.Errorf("the peer received %q", got)
	}
	if n := r.send(fd, "more"); n != -int(syscall.EPIPE) {
		t.Errorf("send after shutdown: %d", n)
	}
	p.Close()
	r.must(r.CloseFD(fd))
	r.tidy()
}

func TestCloseWithUnreadDataResets(t *testing.T) {
	r := newRig(t, Options{})
	fd, p := r.accepted()
	p.Send([]byte("never read"))
	r.send(fd, "reply")
	r.turn(time.Second)
	r.must(r.CloseFD(fd))
	r.until("it is reset", p.WasReset)
	if got := string(p.Received()); got != "reply" {
		t.Errorf("before the reset the peer received %q", got)
	}
	r.tidy()
}

func TestDataBeforeAResetCanBeRead(t *testing.T) {
	r := newRig(t, Options{})
	fd, p := r.accepted()
	p.Send([]byte("last words"))
	p.Reset()
	r.turn(time.Second)
	if _, s := r.recv(fd); s != "last words" {
		t.Errorf("received %q", s)
	}
	for _, want := range []int{-int(syscall.ECONNRESET), 0} {
		if n, _ := r.recv(fd); n != want {
			t.Errorf("received %d, want %d", n, want)
		}
	}
	if n := r.send(fd, "x"); n != -int(syscall.EPIPE) {
		t.Errorf("sent %d", n)
	}
	r.must(r.CloseFD(fd))
	r.tidy()
}

func TestWritingToAClosedPeerFails(t *testing.T) {
	r := newRig(t, Options{})
	fd, p := r.accepted()
	p.Close()
	r.turn(time.Second)
	if n := r.send(fd, "into the void"); n != 13 { // the kernel cannot know yet
		t.Errorf("first send: %d", n)
	}
	r.turn(time.Second)
	if n := r.send(fd, "x"); n != -int(syscall.EPIPE) {
		t.Errorf("second send: %d", n)
	}
	r.must(r.CloseFD(fd))
	r.tidy()
}

func TestPausedPeerClosesTheWindow(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	r := newRig(t, Options{})
	fd, p := r.accepted()
	p.PauseReading()
	data := bytes.Repeat([]byte("0123456789"), 200_000)
	op := &proactor.Op{Code: proactor.Send, FD: fd, Buf: data, Handler: ignore}
	r.Submit(op)
	r.turn(time.Minute)
	if !op.InFlight() || len(p.Received()) > 0 {
		t.Errorf("in flight %v, received %d", op.InFlight(), len(p.Received()))
	}
	p.ResumeReading()
	if n := r.finish(op); n != len(data) {
		t.Errorf("sent %d", n)
	}
	r.must(r.CloseFD(fd))
	r.until("the end is there", p.EOF)
	if !bytes.Equal(p.Received(), data) {
		t.Errorf("received %d bytes of %d", len(p.Received()), len(data))
	}
	p.Close()
	r.tidy()
}

func TestAcceptMeetsEMFILEAndGoesOnLater(t *testing.T) {
	r := newRig(t, Options{})
	l, addr := r.listener(8)
	r.SetDescriptorLimit(1)
	p := r.Dial(addr)
	op := &proactor.Op{Code: proactor.Accept, FD: l}
	if n := r.do(op); n != -int(syscall.EMFILE) {
		t.Errorf("accept: %d", n)
	}
	if _, err := r.Socket(proactor.IPv4, proactor.Stream); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("socket: %v", err)
	}
	r.SetDescriptorLimit(2)
	fd := 0
	op.Handler = ops(func(op *proactor.Op) { fd = max(fd, int(op.Res)) })
	r.Submit(op)
	r.until("it is accepted", func() bool { return fd > 0 })
	r.Cancel(op)
	r.finish(op)
	r.must(r.CloseFD(fd))
	r.must(r.CloseFD(l))
	p.Close()
	r.tidy()
}

func TestRoutes(t *testing.T) {
	for _, tt := range []struct {
		route Route
		errno syscall.Errno
		least time.Duration
	}{
		{Unreachable, syscall.ENETUNREACH, 0},
		{Refusing, syscall.ECONNREFUSED, time.Microsecond},
		{Silent, syscall.ETIMEDOUT, 2 * time.Minute},
	} {
		r := newRig(t, Options{})
		addr := transport.Addr{AddrPort: anywhere.AddrPort}
		addr.AddrPort = mustAddr("192.0.2.1:80")
		r.SetRoute(addr, tt.route)
		fd, err := r.Socket(proactor.IPv4, proactor.Stream)
		r.must(err)
		op := &proactor.Op{Code: proactor.Connect, FD: fd,
			Message: &proactor.Message{Addr: addr}, Handler: ignore}
		r.Submit(op)
		r.turn(time.Hour)
		if op.InFlight() || op.Errno() != tt.errno || r.Now() < tt.least {
			t.Errorf("route %d: %v after %v", tt.route, op.Errno(), r.Now())
		}
		r.must(r.CloseFD(fd))
		r.tidy()
	}
}

func TestBindConflicts(t *testing.T) {
	r := newRig(t, Options{})
	l, addr := r.listener(1)
	all := transport.Addr{AddrPort: mustAddr("0.0.0.0:0")}
	all = withPort(all, addr.Port())
	for _, option := range []proactor.Option{proactor.ReuseAddr, proactor.ReusePort} {
		for _, a := range []transport.Addr{addr, all} {
			fd, err := r.Socket(proactor.IPv4, proactor.Stream)
			r.must(err)
			r.must(r.SetOption(fd, option, 1))
			if err := r.Bind(fd, a); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("bind of %v with option %d: %v", a, option, err)
			}
			r.must(r.CloseFD(fd))
		}
	}
	r.must(r.CloseFD(l))
	l, err := r.Socket(proactor.IPv4, proactor.Stream)
	r.must(err)
	r.must(r.Bind(l, addr))
	r.must(r.CloseFD(l))
	r.tidy()
}

func TestPipes(t *testing.T) {
	r := newRig(t, Options{})
	path := filepath.Join(t.TempDir(), "content")
	r.must(os.WriteFile(path, []byte("0123456789"), 0o600))
	f, err := os.Open(path)
	r.must(err)
	file, err := r.Adopt(f)
	r.must(err)
	to, p := r.PipeWriter()
	for _, text := range []string{"4567", "0123"} {
		op := &proactor.Op{Code: proactor.Send, FD: to, Buf: []byte(text)}
		if n := r.do(op); n != len(text) {
			t.Errorf("send of %d bytes: %d", len(text), n)
		}
	}
	if err := r.Pollable(file); !errors.Is(err, syscall.EPERM) {
		t.Errorf("a file is pollable: %v", err)
	}
	r.must(r.CloseFD(to))
	r.until("the pipe has ended", p.EOF)
	if got := string(p.Received()); got != "45670123" {
		t.Errorf("the reader got %q", got)
	}
	from, writer := r.PipeReader()
	writer.Send([]byte("piped"))
	writer.Close()
	if n, s := r.recv(from); s != "piped" {
		t.Errorf("read %d, %q", n, s)
	}
	if n, _ := r.recv(from); n != 0 {
		t.Errorf("at the end: %d", n)
	}
	r.must(r.CloseFD(from))
	r.must(r.CloseFD(file))
	p.Close()
	r.tidy()
}

func TestWritingToAPipeWithoutReader(t *testing.T) {
	r := newRig(t, Options{})
	fd, p := r.PipeWriter()
	op := &proactor.Op{Code: proactor.Poll, FD: fd}
	var events int32
	op.Handler = ops(func(op *proactor.Op) {
		if op.More {
			events |= op.Res
			r.Cancel(op)
		}
	})
	p.Close()
	if r.do(op); events&pollErr == 0 {
		t.Errorf("poll: %x", events)
	}
	if n := r.send(fd, "x"); n != -int(syscall.EPIPE) {
		t.Errorf("write: %d", n)
	}
	r.must(r.CloseFD(fd))
	r.tidy()
}

func TestFileStandsForADescriptor(t *testing.T) {
	r := newRig(t, Options{})
	fd, p := r.PeerPair()
	f, err := r.File(fd)
	r.must(err)
	got, err := r.Adopt(f)
	r.must(err)
	if family, kind, err := r.Describe(got); got != fd || family != proactor.Unix ||
		kind != proactor.Stream || err != nil {
		t.Errorf("adopted %d: %d, %d, %v", got, family, kind, err)
	}
	pr, pw, err := os.Pipe()
	r.must(err)
	if _, err := r.Adopt(pr); !errors.Is(err, syscall.ENOTSUP) || pr.Close() == nil {
		t.Errorf("adopting a real pipe: %v", err)
	}
	r.must(pw.Close())
	r.must(r.CloseFD(fd))
	p.Close()
	r.tidy()
}

func TestWaitidEndsWithTheChild(t *testing.T) {
	r := newRig(t, Options{})
	pidfd := r.NewChild()
	op := &proactor.Op{Code: proactor.Waitid, FD: pidfd, Handler: ignore}
	r.Submit(op)
	r.turn(time.Second)
	if !op.InFlight() {
		t.Error("it ended before the child")
	}
	r.After(time.Second, func() { r.Exit(pidfd) })
	if n := r.finish(op); n != 0 {
		t.Errorf("waitid: %d", n)
	}
	r.must(r.CloseFD(pidfd))
	r.tidy()
}

func TestEnginesShareAWorld(t *testing.T) {
	r := newRig(t, Options{})
	other := &rig{t, r.NewEngine(proactor.Config{})}
	r.must(other.Start())
	a, b := r.Pair()
	got := &proactor.Op{Code: proactor.Recv, FD: b, Buf: make([]byte, 8), Handler: ignore}
	other.Submit(got)
	other.turn(0)
	r.send(a, "hello")
	if n := other.finish(got); n != 5 {
		t.Errorf("received %d", n)
	}
	r.must(r.CloseFD(a))
	r.must(other.CloseFD(b))
	r.must(other.Engine.Close())
	r.tidy()
}

func TestSeverBreaksAConnection(t *testing.T) {
	r := newRig(t, Options{})
	fd, p := r.accepted()
	r.Sever(fd, syscall.EHOSTUNREACH)
	if n, _ := r.recv(fd); n != -int(syscall.EHOSTUNREACH) {
		t.Errorf("received %d", n)
	}
	r.until("the peer is reset", p.WasReset)
	r.must(r.CloseFD(fd))
	r.tidy()
}

func TestAPeerIsNotifiedOfChanges(t *testing.T) {
	r := newRig(t, Options{})
	l, addr := r.listener(1)
	var p *Peer
	var seen []string
	p = r.Dial(addr)
	p.Notify(func() {
		switch {
		case p.Err() != nil:
			seen = append(seen, p.Err().Error())
			p.Notify(nil)
		case p.Connected() && len(seen) == 0:
			seen = append(seen, "connected")
		}
	})
	r.until("it is connected", func() bool { return len(seen) == 1 })
	if p.RemoteAddr() != addr || p.LocalAddr().Addr() != addr.Addr() {
		t.Errorf("from %v to %v", p.LocalAddr(), p.RemoteAddr())
	}
	r.must(r.CloseFD(l)) // nobody had accepted it
	r.until("it is reset", func() bool { return len(seen) == 2 })
	if seen[0] != "connected" || seen[1] != syscall.ECONNRESET.Error() {
		t.Errorf("told of %q", seen)
	}
	late := r.Dial(addr)
	r.until("it is refused", func() bool { return late.Err() == syscall.ECONNREFUSED })
	r.tidy()
}

func TestClosedServiceRefuses(t *testing.T) {
	r := newRig(t, Options{})
	s, err := r.Serve(anywhere, func(p *Peer) { p.Close() })
	r.must(err)
	if _, err := r.Serve(s.Addr(), nil); err != syscall.EADDRINUSE {
		t.Errorf("a second service: %v", err)
	}
	s.Close()
	fd, err := r.Socket(proactor.IPv4, proactor.Stream)
	r.must(err)
	op := &proactor.Op{Code: proactor.Connect, FD: fd,
		Message: &proactor.Message{Addr: s.Addr()}}
	if n := r.do(op); n != -int(syscall.ECONNREFUSED) {
		t.Errorf("connect: %d", n)
	}
	r.must(r.CloseFD(fd))
	r.tidy()
}

func TestUnixPathIsFreeAfterClose(t *testing.T) {
	r := newRig(t, Options{})
	addr := transport.Addr{Path: "/run/simulated"}
	for range 2 {
		l, err := r.Socket(proactor.Unix, proactor.Stream)
		r.must(err)
		r.must(r.Bind(l, addr))
		r.must(r.Engine.Listen(l, 0))
		first, second := r.Dial(addr), r.Dial(addr) // the second finds no room
		r.turn(time.Second)
		if !first.Connected() || second.Connected() {
			t.Errorf("connected %v, %v", first.Connected(), second.Connected())
		}
		r.must(r.CloseFD(l))
		r.until("both are over", func() bool {
			return first.WasReset() && second.Err() == syscall.ENOENT
		})
	}
	r.tidy()
}

func TestDatagramsFromAPeer(t *testing.T) {
	r := newRig(t, Options{Config: proactor.Config{BufferSize: 8}})
	p, err := r.ServePackets(anywhere)
	r.must(err)
	fd, err := r.Socket(proactor.IPv4, proactor.Datagram)
	r.must(err)
	r.must(r.Bind(fd, anywhere))
	addr, err := r.LocalAddr(fd)
	r.must(err)
	r.must(p.SendTo([]byte("datagram too long"), addr))
	var got string
	op := &proactor.Op{Code: proactor.RecvMsg, FD: fd, Message: &proactor.Message{}}
	op.Handler = ops(func(op *proactor.Op) {
		if op.More {
			got = string(op.Data)
			if op.Message.Addr != p.Addr() || !op.Message.Truncated {
				t.Errorf("from %v, truncated %v", op.Message.Addr, op.Message.Truncated)
			}
			r.Cancel(op)
		}
	})
	if r.do(op); got != "datagram" {
		t.Errorf("received %q", got)
	}
	p.Close()
	r.must(r.CloseFD(fd))
	r.tidy()
}

// A sender whose buffer is full goes on in large pieces: segments that were cut at
// random are not cut again and again, down to single bytes.
func TestAStreamIsNotGroundToBytes(t *testing.T) {
	const size = 256 << 10
	for seed := range uint64(20) {
		r := newRig(t, Options{Seed: seed, BufferMax: 32 << 10})
		fd, p := r.accepted()
		if n := r.send(fd, string(make([]byte, size))); n != size {
			t.Fatalf("sent %d", n)
		}
		r.until("all is there", func() bool { return len(p.Received()) == size })
		received := strings.Count(r.History(), " peer recv ")
		if mean := size / received; mean < 512 {
			t.Errorf("seed %d: %d receives of %d bytes in the mean", seed, received, mean)
		}
		p.Close()
		r.must(r.CloseFD(fd))
		r.tidy()
	}
}

// Room that is less than a third of a buffer that was full is no room yet.
func TestAFullSendBufferHasRoomWhenAThirdIsFree(t *testing.T) {
	w := NewWorld(Options{Loopback: true, BufferMin: 9000, BufferMax: 9000})
	a, b := w.newFile(streamSocket, proactor.IPv4), w.newFile(streamSocket, proactor.IPv4)
	a.stage, b.stage = connected, connected
	w.join(a, b, false)
	for _, step := range []struct{ put, arrive, room int }{
		{put: 8999, room: 1},
		{arrive: 10, room: 11},
		{put: 11, room: 0},
		{arrive: 2999, room: 0},
		{arrive: 1, room: 3000},
		{put: 1000, room: 2000},
		{put: 3000, room: 0},
		{arrive: 9000, room: 9000},
	} {
		if step.put > 0 {
			a.tx.put(make([]byte, step.put))
		}
		if step.arrive > 0 {
			a.tx.arrive(step.arrive)
		}
		if room := a.tx.room(); room != step.room {
			t.Errorf("after %+v there is room for %d", step, room)
		}
		if events := a.events(); (events&pollOut != 0) != (step.room > 0) {
			t.Errorf("after %+v poll says %#x", step, events)
		}
	}
}
