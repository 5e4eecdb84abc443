package epoll

import (
	"errors"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/sys"
	"github.com/sluice-net/sluice/transport"
	"golang.org/x/sys/unix"
)

// started makes an engine and starts it on the test's thread.
func started(t *testing.T, cfg proactor.Config) *engine {
	t.Helper()
	runtime.LockOSThread()
	e := open(t, cfg).(*engine)
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		runtime.UnlockOSThread()
	})
	return e
}

// recorder notes results, and does more if then is set.
type recorder struct {
	results []int32
	then    func(op *proactor.Op)
}

func (r *recorder) Complete(op *proactor.Op) {
	r.results = append(r.results, op.Res)
	if r.then != nil {
		r.then(op)
	}
}

func socketpair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX,
		unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fds[0], fds[1]
}

func wait(t *testing.T, e *engine, timeout time.Duration) {
	t.Helper()
	if err := e.Wait(timeout); err != nil {
		t.Fatal(err)
	}
}

// end cancels ops, waits for their ends and closes fds.
func end(t *testing.T, e *engine, ops []*proactor.Op, fds ...int) {
	t.Helper()
	for _, op := range ops {
		e.Cancel(op)
		for op.InFlight() {
			wait(t, e, time.Second)
		}
	}
	for _, fd := range fds {
		if err := e.CloseFD(fd); err != nil {
			t.Error(err)
		}
	}
}

func TestEchoCostsThreeSystemCalls(t *testing.T) {
	e := started(t, proactor.Config{})
	near, far := socketpair(t)
	send := proactor.Op{Code: proactor.Send, FD: near, Handler: &recorder{}}
	var buf [8]byte
	recv := proactor.Op{Code: proactor.RecvAny, FD: near, Handler: &recorder{
		then: func(op *proactor.Op) {
			if op.Res > 0 {
				send.Buf = buf[:copy(buf[:], op.Data)]
				e.Submit(&send)
			}
		}}}
	e.Submit(&recv)
	wait(t, e, 0)
	before := e.Stats()
	const rounds = 100
	answer := make([]byte, 8)
	for range rounds {
		unix.Write(far, []byte("ping"))
		wait(t, e, time.Second)
		if n, err := unix.Read(far, answer); n != 4 || err != nil {
			t.Fatal("no answer after one Wait:", n, err)
		}
	}
	if n := e.Stats().Syscalls - before.Syscalls; n != 3*rounds {
		t.Errorf("%d system calls for %d echoes", n, rounds)
	}
	end(t, e, []*proactor.Op{&recv, &send}, near, far)
}

func TestResubmittedRecvCostsTwoSystemCalls(t *testing.T) {
	e := started(t, proactor.Config{})
	near, far := socketpair(t)
	r := &recorder{}
	recv := proactor.Op{Code: proactor.Recv, FD: near, Handler: r, Buf: make([]byte, 8)}
	r.then = func(op *proactor.Op) {
		if op.Res > 0 {
			e.Submit(op)
		}
	}
	e.Submit(&recv)
	wait(t, e, 0)
	before := e.Stats()
	for range 100 {
		unix.Write(far, []byte("ping"))
		wait(t, e, time.Second)
	}
	if n := e.Stats().Syscalls - before.Syscalls; n != 200 || len(r.results) != 100 {
		t.Errorf("%d system calls for %d receives", n, len(r.results))
	}
	end(t, e, []*proactor.Op{&recv}, near, far)
}

func TestOneReceiveOfAConnectionInATurn(t *testing.T) {
	e := started(t, proactor.Config{BufferSize: 100})
	near, far := socketpair(t)
	r := &recorder{}
	recv := proactor.Op{Code: proactor.RecvAny, FD: near, Handler: r}
	e.Submit(&recv)
	unix.Write(far, make([]byte, 1000))
	for i := range 10 {
		if len(r.results) != i {
			t.Fatalf("%d receives after %d turns", len(r.results), i)
		}
		wait(t, e, time.Second)
	}
	end(t, e, []*proactor.Op{&recv}, near, far)
}

func TestTimersWithoutPwait2AreNotEarly(t *testing.T) {
	e := started(t, proactor.Config{})
	if e.machine.(*linux).noPwait2 {
		t.Log("epoll_pwait2 is refused here: both ways are the same")
	}
	for _, old := range []bool{true, e.machine.(*linux).noPwait2} {
		e.machine.(*linux).noPwait2 = old
		for _, d := range []time.Duration{1, 300 * time.Microsecond, 1100 * time.Microsecond} {
			ok := false
			for try := 0; try < 10 && !ok; try++ { // a signal may interrupt one
				start := e.Now()
				wait(t, e, d)
				ok = e.Now()-start >= d
			}
			if !ok {
				t.Errorf("Wait(%v) is early, epoll_pwait2 %v", d, !old)
			}
		}
	}
}

func TestEventOfAFormerDescriptorIsIgnored(t *testing.T) {
	e := started(t, proactor.Config{})
	near, far := socketpair(t)
	r := &recorder{}
	poll := proactor.Op{Code: proactor.Poll, FD: near, Mask: unix.POLLIN, Handler: r}
	e.Submit(&poll)
	wait(t, e, 0)
	gen := e.table.find(near).gen
	stale := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(near), Pad: int32(gen - 1)}
	e.event(&stale)
	if len(r.results) > 0 {
		t.Error("a stale event completed something:", r.results)
	}
	now := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(near), Pad: int32(gen)}
	e.event(&now)
	if len(r.results) != 1 {
		t.Error("an event completed nothing")
	}
	end(t, e, []*proactor.Op{&poll}, near, far)
	if got := e.table.find(near).gen; got != gen+1 {
		t.Errorf("generation %d after close, was %d", got, gen)
	}
}

func TestRegularFileFailsWithEPERM(t *testing.T) {
	e := started(t, proactor.Config{})
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := e.Adopt(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []proactor.Code{proactor.Poll, proactor.RecvAny} {
		r := &recorder{}
		op := proactor.Op{Code: code, FD: fd, Mask: unix.POLLIN, Handler: r}
		e.Submit(&op)
		wait(t, e, 0)
		if len(r.results) != 1 || r.results[0] != -int32(syscall.EPERM) || op.InFlight() {
			t.Errorf("%v: %v", code, r.results)
		}
	}
	end(t, e, nil, fd)
}

func TestSecondReaderFailsWithEBUSY(t *testing.T) {
	e := started(t, proactor.Config{})
	near, far := socketpair(t)
	r := &recorder{}
	one := proactor.Op{Code: proactor.RecvAny, FD: near, Handler: &recorder{}}
	two := proactor.Op{Code: proactor.RecvAny, FD: near, Handler: r}
	e.Submit(&one)
	e.Submit(&two)
	wait(t, e, 0)
	if len(r.results) != 1 || r.results[0] != -int32(syscall.EBUSY) || !one.InFlight() {
		t.Error(r.results)
	}
	end(t, e, []*proactor.Op{&one}, near, far)
}

func TestAcceptCancelledByItsHandlerTakesNoMore(t *testing.T) {
	e := started(t, proactor.Config{})
	listener, err := e.Socket(proactor.Unix, proactor.Stream)
	if err != nil {
		t.Fatal(err)
	}
	addr := transport.Addr{Path: "@sluice-epoll-accept"}
	if err := errors.Join(e.Bind(listener, addr), e.Listen(listener, 8)); err != nil {
		t.Fatal(err)
	}
	fds := []int{listener}
	for range 2 {
		fd, _ := e.Socket(proactor.Unix, proactor.Stream)
		fds = append(fds, fd)
		op := proactor.Op{Code: proactor.Connect, FD: fd,
			Message: &proactor.Message{Addr: addr}, Handler: &recorder{}}
		e.Submit(&op)
		wait(t, e, 0)
	}
	r := &recorder{then: func(op *proactor.Op) { e.Cancel(op) }}
	accept := proactor.Op{Code: proactor.Accept, FD: listener, Handler: r}
	e.Submit(&accept)
	for wait(t, e, 0); accept.InFlight(); {
		wait(t, e, time.Second)
	}
	if len(r.results) != 2 || r.results[0] < 0 || r.results[1] != -int32(syscall.ECANCELED) {
		t.Fatal(r.results)
	}
	end(t, e, nil, append(fds, int(r.results[0]))...)
}

func TestCloseWithAnOperationPanics(t *testing.T) {
	e := started(t, proactor.Config{})
	near, far := socketpair(t)
	op := proactor.Op{Code: proactor.RecvAny, FD: near, Handler: &recorder{}}
	e.Submit(&op)
	wait(t, e, 0)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("it did not")
			}
		}()
		e.CloseFD(near)
	}()
	end(t, e, []*proactor.Op{&op}, near, far)
}

// TestDescriptorClosedBehindTheEngine polls numbers that their owner closes and
// gets again: the kernel has forgotten them, the engine has to notice.
func TestDescriptorClosedBehindTheEngine(t *testing.T) {
	e := started(t, proactor.Config{})
	for i := range 5 {
		near, far := socketpair(t)
		r := &recorder{}
		poll := proactor.Op{Code: proactor.Poll, FD: near, Mask: unix.POLLIN, Handler: r}
		e.Submit(&poll)
		wait(t, e, 0)
		unix.Write(far, []byte("x"))
		wait(t, e, time.Second)
		if len(r.results) != 1 {
			t.Fatalf("round %d: %v", i, r.results)
		}
		if i%2 == 0 { // cancelled first, as it should be, or not
			end(t, e, []*proactor.Op{&poll})
			unix.Close(near)
		} else {
			unix.Close(near)
			end(t, e, []*proactor.Op{&poll})
		}
		unix.Close(far)
	}
	if limit, _, err := sys.Getrlimit(sys.LimitFiles); err == nil && limit <= 10_000 {
		t.Skipf("needs RLIMIT_NOFILE above 10000, which is %d: ulimit -n", limit)
	}
	s := e.table.slotFor(10_000) // as if it had been watched and closed
	s.mask = watchRead
	near, far := socketpair(t)
	if err := unix.Dup3(near, 10_000, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if errno := e.watchAnew(s, 10_000, watchRead|watchWrite); errno != 0 {
		t.Error(errno)
	}
	s.mask = 0 // as if it had not been watched
	if errno := e.watchAnew(s, 10_000, watchRead); errno != 0 {
		t.Error(errno)
	}
	end(t, e, nil, near, far, 10_000)
}

func TestMemoryComesBackOnClose(t *testing.T) {
	e := open(t, proactor.Config{}).(*engine)
	b := e.Alloc(3 << 20)
	if len(e.memory.Chunks()) != 1 || len(b) != 3<<20 {
		t.Error(len(b))
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error("closing twice:", err)
	}
	if s := e.Stats(); s.BuffersInUse != 0 {
		t.Errorf("%+v", s)
	}
	if e.Start() == nil {
		t.Error("started after Close")
	}
}

func TestYieldsToTheScheduler(t *testing.T) {
	e := started(t, proactor.Config{})
	e.yielder.Start(sys.Monotonic() - time.Second)
	before := e.yielder
	wait(t, e, 0)
	if e.yielder == before {
		t.Error("it did not yield")
	}
}
