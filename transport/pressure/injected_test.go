package pressure

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/sluice-net/sluice/uring"
	"golang.org/x/sys/unix"
)

// attachHere traces this process without snapshots except those that a test takes.
func attachHere(t *testing.T, o Options) *Tracer {
	t.Helper()
	o.Interval = -1
	tracer, err := Attach(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tracer.Close(); err != nil {
			t.Error(err)
		}
	})
	return tracer
}

func snapshot(t *testing.T, tracer *Tracer) *Snapshot {
	t.Helper()
	s, err := tracer.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newRing creates a ring and returns a function that finds it in a snapshot.
func newRing(t *testing.T, o *uring.Options) (*uring.Ring, func(*Snapshot) Ring) {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	ring, err := uring.New(4, o)
	if err != nil {
		t.Skipf("needs io_uring: %v", err)
	}
	t.Cleanup(func() { ring.Close() })
	return ring, func(s *Snapshot) Ring {
		for _, r := range s.Rings {
			if r.FD == ring.FD() {
				return r
			}
		}
		t.Fatalf("no ring %d in %+v", ring.FD(), s.Rings)
		return Ring{}
	}
}

// names returns the names of the findings.
func names(findings []Finding) map[string]bool {
	out := map[string]bool{}
	for _, f := range findings {
		out[f.Name] = true
	}
	return out
}

func wantFinding(t *testing.T, name string, snapshots ...*Snapshot) {
	t.Helper()
	if found := Diagnose(Evidence{Snapshots: snapshots}); !names(found)[name] {
		t.Errorf("findings are %+v, want %s", found, name)
	}
}

// nops submits n requests that complete at once, prepared by each.
func nops(t *testing.T, ring *uring.Ring, n int, prepare func(*uring.SQE)) {
	t.Helper()
	for range n {
		sqe := ring.SQE()
		if sqe == nil {
			t.Fatal("the submission queue is full")
		}
		sqe.PrepNop()
		if prepare != nil {
			prepare(sqe)
		}
		if _, err := ring.Submit(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestInjectedCQOverflows(t *testing.T) {
	needBPF(t)
	ring, of := newRing(t, &uring.Options{CQEntries: 8, Without: uring.SetupDeferTaskrun})
	tracer := attachHere(t, Options{})
	before := snapshot(t, tracer)
	nops(t, ring, 8+37, nil)
	after := snapshot(t, tracer)
	if got := of(after).Edges.Overflows - of(before).Edges.Overflows; got != 37 {
		t.Errorf("%d overflows, want 37", got)
	}
	if got := after.Counts.Since(before.Counts)[EventCQOverflow]; got != 37 {
		t.Errorf("%d overflows counted, want 37", got)
	}
	if r := of(after); r.CQReady != 8 || r.CQEntries != 8 || !r.Overflowing {
		t.Errorf("ring is %+v", r)
	}
	wantFinding(t, findCQOverflow, before, after)
}

func TestInjectedPunts(t *testing.T) {
	needBPF(t)
	ring, of := newRing(t, nil)
	tracer := attachHere(t, Options{})
	before := snapshot(t, tracer)
	nops(t, ring, 3, func(s *uring.SQE) { s.SetFlags(uring.Async) })
	if _, err := ring.SubmitAndWait(3, time.Minute); err != nil {
		t.Fatal(err)
	}
	after := snapshot(t, tracer)
	if got := of(after).Edges.Punts - of(before).Edges.Punts; got != 3 {
		t.Errorf("%d punts, want 3", got)
	}
	wantFinding(t, findPunts, before, after)
}

func TestInjectedMissingBuffers(t *testing.T) {
	needBPF(t)
	ring, of := newRing(t, nil)
	buffers, err := ring.RegisterBufRing(3, 8, 64)
	if err != nil {
		t.Skipf("needs buffer rings: %v", err)
	}
	for id := range uint16(5) {
		buffers.Add(id)
	}
	buffers.Advance()
	a, b := tcpPair(t)
	tracer := attachHere(t, Options{})
	before := snapshot(t, tracer)
	if got := of(before).Buffers; len(got) != 1 || got[0] != (BufferRing{3, 5, 8}) {
		t.Errorf("buffer rings are %+v, want group 3 with 5 of 8", got)
	}
	if _, err := a.Write(make([]byte, 5*64+1)); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		ring.SQE().PrepRecvMultishot(fdOf(t, b), 3, 0)
		receiveUntilEnd(t, ring)
	}
	after := snapshot(t, tracer)
	if got := of(after).Edges.NoBuffers - of(before).Edges.NoBuffers; got != 4 {
		t.Errorf("%d receives without buffer, want 4", got)
	}
	if got := connAt(t, after, b.LocalAddr()).Edges.NoBuffers; got != 4 {
		t.Errorf("%d at the connection, want 4", got)
	}
	if got := of(after).Buffers[0].Available; got != 0 {
		t.Errorf("%d buffers available, want 0", got)
	}
}

func receiveUntilEnd(t *testing.T, ring *uring.Ring) {
	t.Helper()
	for {
		if _, err := ring.SubmitAndWait(1, time.Minute); err != nil {
			t.Fatal(err)
		}
		for cqe := range ring.CQEs() {
			if !cqe.More() {
				return
			}
		}
	}
}

func TestInjectedUDPDrops(t *testing.T) {
	needBPF(t)
	receiver, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	if err := receiver.SetReadBuffer(2 << 10); err != nil {
		t.Fatal(err)
	}
	tracer := attachHere(t, Options{})
	before := snapshot(t, tracer)
	sender, err := net.DialUDP("udp4", nil, receiver.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	const sent = 40
	for range sent {
		if _, err := sender.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	after := snapshot(t, tracer)
	kept, buf := 0, make([]byte, 200)
	for fd := fdOf(t, receiver); ; kept++ {
		if _, _, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT); err != nil {
			break
		}
	}
	if got := after.Counts.Since(before.Counts)[EventUDPDrop]; got != uint64(sent-kept) {
		t.Errorf("%d drops, %d sent and %d kept", got, sent, kept)
	}
	wantFinding(t, findUDPDrops, before, after)
}

func TestInjectedFullPipe(t *testing.T) {
	needBPF(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	tracer := attachHere(t, Options{})
	raw, err := w.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Write(func(fd uintptr) (done bool) {
		for page := make([]byte, 4096); ; {
			if _, err := unix.Write(int(fd), page); err != nil {
				return true
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	one, two := snapshot(t, tracer), snapshot(t, tracer)
	found := false
	for _, p := range two.Pipes {
		if p.Writer && p.FD == fdOf(t, w) {
			found = true
			if p.Used != p.Size || p.Size == 0 {
				t.Errorf("pipe is %+v, want full", p)
			}
		}
	}
	if !found {
		t.Error("the pipe is not there")
	}
	wantFinding(t, findPipeFull, one, two)
}

func TestInjectedFullUnixSocket(t *testing.T) {
	needBPF(t)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	for {
		if _, err := unix.Write(fds[0], make([]byte, 4096)); err != nil {
			break
		}
	}
	tracer := attachHere(t, Options{})
	wantFinding(t, findUnixFull, snapshot(t, tracer), snapshot(t, tracer))
}

func TestInjectedFullAcceptQueue(t *testing.T) {
	needBPF(t)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 4); err != nil {
		t.Fatal(err)
	}
	tracer := attachHere(t, Options{})
	before := snapshot(t, tracer)
	address := localName(fd).String()
	for range 5 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	dialer := net.Dialer{Timeout: 200 * time.Millisecond}
	if c, err := dialer.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("a sixth connection was made")
	}
	after := snapshot(t, tracer)
	for _, l := range after.Listeners {
		if l.FD == fd && (l.Queue != 5 || l.Backlog != 4 || l.Drops == 0) {
			t.Errorf("listener is %+v, want 5 of 4 and drops", l)
		}
	}
	wantFinding(t, findAcceptQueue, before, after)
}

func TestUnixPathsAreShown(t *testing.T) {
	needBPF(t)
	for _, path := range []string{filepath.Join(t.TempDir(), "s"), "@sluice-pressure-test"} {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for _, level := range []Level{LevelSnapshot, LevelProcess} {
			tracer := attachHere(t, Options{Level: level})
			found := false
			for _, u := range snapshot(t, tracer).Unix {
				found = found || u.Path == path && u.Listening
			}
			if !found {
				t.Errorf("%v: %s is not there", level, path)
			}
		}
	}
}
