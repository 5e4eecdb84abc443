package proactortest

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

var kernelTests = []test{
	{name: "WakeFromAnotherGoroutine", run: wakeFromOutside},
	{name: "WakeDuringClose", run: wakeDuringClose},
	{name: "AcceptOutOfDescriptors", run: acceptEMFILE},
	{name: "PipesAreRead", run: pipesRead},
	{name: "PipesAreWritten", run: pipesWritten},
	{name: "PipeWithoutReader", run: pipeBroken},
	{name: "AdoptClosesTheFile", run: adopt},
	{name: "UnixSocketInTheFileSystem", run: unixPath},
	{name: "DuplicateOfAClosedDescriptor", run: duplicate},
	{name: "PollableSaysWhatPollTakes", run: pollable},
}

func wakeFromOutside(r *rig) {
	for range 50 {
		start := r.Now()
		done := make(chan struct{})
		go func() {
			r.Wake()
			close(done)
		}()
		r.turn(waitTimeout)
		if r.Now()-start > waitTimeout/2 {
			r.Fatal("Wait was not woken")
		}
		<-done
	}
	// One that sleeps for certain.
	woken := make(chan struct{})
	time.AfterFunc(20*time.Millisecond, func() {
		close(woken)
		r.Wake()
	})
	for asleep := true; asleep; {
		r.turn(-1)
		select {
		case <-woken:
			asleep = false
		default:
		}
	}
}

func wakeDuringClose(r *rig) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				r.Wake()
				runtime.Gosched()
			}
		}
	}()
	for range 20 {
		r.turn(time.Millisecond)
	}
	r.closeEngine()
	// The number of the descriptor that Wake wrote to is somebody else's now.
	rd, wr, err := os.Pipe()
	r.must(err)
	r.Wake()
	close(stop)
	<-done
	r.Wake()
	wr.Close()
	if b, err := io.ReadAll(rd); len(b) > 0 || err != nil {
		r.Errorf("%d bytes in a stranger's pipe, %v", len(b), err)
	}
	rd.Close()
}

func acceptEMFILE(r *rig) {
	listener, addr := r.listen(proactor.IPv4)
	connect := r.connect(proactor.IPv4, addr)
	r.settle()
	accept := r.acceptor(listener)
	var limit syscall.Rlimit
	r.must(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	low := limit
	low.Cur = 3 // below what is open, so nothing more can be opened
	r.must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low))
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	accept.submit() // io_uring reads the limit when the accept is armed
	accept.wantErrno(syscall.EMFILE)
	if accept.last().more || len(accept.got) != 1 {
		r.Errorf("accept: %+v", accept.got)
	}
	r.must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	connect.want(0)
	accept.submit()
	r.until("it is accepted after all", func() bool { return len(accept.got) == 2 })
	if got := accept.last(); !got.more || got.res < 0 {
		r.Errorf("accept: %+v", got)
	}
}

// pipe returns both ends of an adopted pipe.
func (r *rig) pipe() (rd, wr int) {
	r.Helper()
	rf, wf, err := os.Pipe()
	r.must(err)
	rd, err = r.Adopt(rf)
	r.must(err)
	wr, err = r.Adopt(wf)
	r.must(err)
	r.fds = append(r.fds, rd, wr)
	return rd, wr
}

func pipesRead(r *rig) {
	rd, wr := r.pipe()
	if _, kind, err := r.Describe(rd); kind != proactor.NotSocket || err != nil {
		r.Errorf("a pipe is described as %d, %v", kind, err)
	}
	recv := r.probe(proactor.RecvAny, rd).submit()
	want := pattern(1 << 20)
	send := r.send(wr, want)
	r.same(recv.receive(len(want)), want)
	send.want(len(want))
	r.closeFD(wr)
	recv.want(0)
}

func pipesWritten(r *rig) {
	rd, wr := r.pipe()
	want := pattern(1 << 20)
	send := r.probe(proactor.SendMsg, wr)
	send.op.Bufs = cut(want, 300)
	send.submit()
	r.settle()
	recv := r.probe(proactor.Recv, rd)
	recv.op.Buf = make([]byte, 30_000)
	var got []byte
	for len(got) < len(want) {
		n := recv.submit().done().res
		if n <= 0 {
			r.Fatalf("result %d after %d bytes", n, len(got))
		}
		got = append(got, recv.op.Buf[:n]...)
	}
	r.same(got, want)
	send.want(len(want))
	if n, err := r.TrySend(wr, [][]byte{[]byte("x"), []byte("y")}); n != 2 || err != nil {
		r.Errorf("TrySend: %d, %v", n, err)
	}
}

func pipeBroken(r *rig) {
	rd, wr := r.pipe()
	send := r.send(wr, pattern(1<<20))
	r.settle()
	r.closeFD(rd)
	if got := send.done().res; got != -int32(syscall.EPIPE) && (got <= 0 || got >= 1<<20) {
		r.Errorf("result %d", got)
	}
	r.send(wr, []byte("x")).wantErrno(syscall.EPIPE)
}

func adopt(r *rig) {
	rf, wf, err := os.Pipe()
	r.must(err)
	fd, err := r.Adopt(rf)
	r.must(err)
	r.fds = append(r.fds, fd)
	if _, err := rf.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		r.Errorf("the file is still open: %v", err)
	}
	if _, err := r.Adopt(rf); !errors.Is(err, syscall.EBADF) {
		r.Errorf("Adopt of a closed file: %v", err)
	}
	r.must(wf.Close())
	r.probe(proactor.RecvAny, fd).submit().want(0)
}

func unixPath(r *rig) {
	path := filepath.Join(r.TempDir(), "s")
	listener := r.socket(proactor.Unix, proactor.Stream)
	r.must(r.Bind(listener, transport.Addr{Path: path}))
	r.must(r.Listen(listener, 16))
	if addr, err := r.LocalAddr(listener); addr.Path != path || err != nil {
		r.Errorf("bound to %q: %q, %v", path, addr.Path, err)
	}
	accept := r.accept(listener)
	outside, err := net.Dial("unix", path)
	r.must(err)
	defer outside.Close()
	r.until("it is accepted", func() bool { return len(accept.got) == 1 })
	if addr, err := r.RemoteAddr(int(accept.got[0].res)); !addr.IsZero() || err != nil {
		r.Errorf("peer %v, %v", addr, err)
	}
}

// duplicate closes a descriptor of which there is a copy: its events must not
// come any more, and not make the engine spin.
func duplicate(r *rig) {
	client, server := r.pair(proactor.IPv4)
	recv := r.probe(proactor.RecvAny, server).submit()
	r.settle()
	dup, err := syscall.Dup(server)
	r.must(err)
	defer syscall.Close(dup)
	r.Cancel(&recv.op)
	recv.wantErrno(syscall.ECANCELED)
	r.closeFD(server)
	r.send(client, []byte("nobody")).want(6)
	r.settle()
	before, start := r.Stats(), r.Now()
	for r.Now()-start < waitTimeout/200 {
		r.turn(waitTimeout / 200)
	}
	if n := r.Stats().Syscalls - before.Syscalls; n > 20 {
		r.Errorf("%d system calls while nothing happened", n)
	}
}

func pollable(r *rig) {
	rd, _ := r.pipe()
	r.must(r.Pollable(rd))
	r.must(r.Pollable(r.socket(proactor.IPv4, proactor.Datagram)))
	file, err := os.Create(filepath.Join(r.TempDir(), "f"))
	r.must(err)
	defer file.Close()
	if err := r.Pollable(int(file.Fd())); !errors.Is(err, syscall.EPERM) {
		r.Errorf("a regular file: %v", err)
	}
	if err := r.Pollable(1 << 20); !errors.Is(err, syscall.EBADF) {
		r.Errorf("no descriptor: %v", err)
	}
}
