package proactortest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

var pipeTests = []test{
	{name: "AdoptedPipeCarriesBytes", run: adoptPipe},
	{name: "AdoptPipeOfTheWrongEnd", run: adoptWrongEnd},
	{name: "AdoptPipeOfWhatIsNone", run: adoptNoPipe},
	{name: "AdoptPipeOfAClosedFile", run: adoptClosed},
	{name: "SetBlocking", run: setBlocking},
	{name: "WriterIsToldThatItsReaderIsGone", run: readerGone},
	{name: "WaitidSeesTheExit", run: waitid},
	{name: "WaitidOfOneThatHasExited", run: waitidLate},
	{name: "WaitidIsCancelled", run: waitidCancel},
}

// simulator is an engine that has its own pipes and children.
type simulator interface {
	Pipe() (reader, writer int)
	File(fd int) (*os.File, error)
	NewChild() (pidfd int)
	Exit(pidfd int)
}

// files returns both ends of a pipe, for AdoptPipe.
func (r *rig) files() (rf, wf *os.File) {
	r.Helper()
	sim, ok := r.Proactor.(simulator)
	if !ok {
		rf, wf, err := os.Pipe()
		r.must(err)
		return rf, wf
	}
	rd, wr := sim.Pipe()
	rf, err := sim.File(rd)
	r.must(err)
	wf, err = sim.File(wr)
	r.must(err)
	return rf, wf
}

// adopted adopts a file as a pipe, which tearDown closes.
func (r *rig) adopted(f *os.File, write bool) proactor.Pipe {
	r.Helper()
	p, err := r.AdoptPipe(f, write)
	r.must(err)
	r.fds = append(r.fds, p.FD)
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		r.Errorf("the file was not closed: %v", err)
	}
	return p
}

func adoptPipe(r *rig) {
	rf, wf := r.files()
	rd, wr := r.adopted(rf, false), r.adopted(wf, true)
	if rd.Device || wr.Device || rd.Restore || wr.Restore {
		r.Errorf("a pipe is %+v, %+v", rd, wr)
	}
	recv := r.probe(proactor.RecvAny, rd.FD).submit()
	r.settle()
	if !recv.op.InFlight() {
		r.Fatalf("an empty pipe: %+v", recv.got)
	}
	want := pattern(300_000) // more than a pipe holds
	send := r.send(wr.FD, want)
	r.until("all is sent", func() bool {
		if !send.op.InFlight() {
			if n := int(send.last().res); n > 0 && n < len(send.op.Buf) {
				send.op.Buf = send.op.Buf[n:]
				send.submit()
			}
		}
		if !recv.op.InFlight() && recv.last().res > 0 {
			recv.submit()
		}
		return len(recv.data) == len(want)
	})
	r.same(recv.data, want)
	r.closeFD(wr.FD)
	if !recv.op.InFlight() {
		recv.submit()
	}
	recv.want(0)
}

func adoptWrongEnd(r *rig) {
	for _, write := range []bool{false, true} {
		right, wrong := r.files()
		if write {
			right, wrong = wrong, right
		}
		p, err := r.AdoptPipe(wrong, write)
		if !errors.Is(err, syscall.EBADF) || p.FD != -1 {
			r.Errorf("write %v: %+v, %v", write, p, err)
		}
		if err := wrong.Close(); !errors.Is(err, os.ErrClosed) {
			r.Errorf("the file was not closed: %v", err)
		}
		r.adopted(right, write)
	}
}

func adoptNoPipe(r *rig) {
	regular, err := os.Create(filepath.Join(r.TempDir(), "f"))
	r.must(err)
	dir, err := os.Open(r.TempDir())
	r.must(err)
	for _, f := range []*os.File{regular, dir} {
		if p, err := r.AdoptPipe(f, false); !errors.Is(err, proactor.ErrNotPipe) || p.FD != -1 {
			r.Errorf("%s: %+v, %v", f.Name(), p, err)
		}
		if err := f.Close(); !errors.Is(err, os.ErrClosed) {
			r.Errorf("the file was not closed: %v", err)
		}
	}
}

func adoptClosed(r *rig) {
	f, err := os.Open(os.DevNull)
	r.must(err)
	r.must(f.Close())
	if p, err := r.AdoptPipe(f, false); !errors.Is(err, syscall.EBADF) || p.FD != -1 {
		r.Errorf("%+v, %v", p, err)
	}
}

func setBlocking(r *rig) {
	rf, wf := r.files()
	rd := r.adopted(rf, false)
	r.adopted(wf, true)
	before := r.blocks(rd.FD)
	r.must(r.SetBlocking(rd.FD))
	// A simulated descriptor has no mode that could be looked at.
	if _, simulated := r.Proactor.(simulator); !simulated && (before || !r.blocks(rd.FD)) {
		r.Errorf("it blocks: %v, and then %v", before, r.blocks(rd.FD))
	}
	if err := r.SetBlocking(1 << 20); !errors.Is(err, syscall.EBADF) {
		r.Errorf("no descriptor: %v", err)
	}
}

// blocks reports whether a descriptor of the kernel is in blocking mode.
func (r *rig) blocks(fd int) bool {
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(info), "flags:")
	var flags int
	fmt.Sscanf(rest, "%o", &flags)
	return flags&syscall.O_NONBLOCK == 0
}

func readerGone(r *rig) {
	rf, wf := r.files()
	rd, wr := r.adopted(rf, false), r.adopted(wf, true)
	watch := r.probe(proactor.Poll, wr.FD).submit()
	r.settle()
	if !watch.op.InFlight() {
		r.Fatalf("before its reader is gone: %+v", watch.got)
	}
	r.closeFD(rd.FD)
	r.until("it is told", func() bool { return len(watch.got) > 0 })
	const gone = 0x8 // POLLERR
	if got := watch.got[0].res; got&gone == 0 {
		r.Errorf("the events are %#x", got)
	}
	r.send(wr.FD, []byte("x")).wantErrno(syscall.EPIPE)
}

// child starts a child that lives until exit is called, and returns its pidfd.
func (r *rig) child() (fd int, exit func()) {
	r.Helper()
	if sim, ok := r.Proactor.(simulator); ok {
		fd = sim.NewChild()
		r.fds = append(r.fds, fd)
		return fd, func() { sim.Exit(fd) }
	}
	fd = -1
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{PidFD: &fd}
	if err := cmd.Start(); err != nil {
		r.Skipf("needs sleep: %v", err)
	}
	r.Cleanup(func() {
		var end *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &end) { // or else it was reaped
			r.Error(err)
		}
	})
	exit = func() { r.must(cmd.Process.Kill()) }
	if fd < 0 {
		exit()
		r.Skip("needs pidfds (Linux 5.4)")
	}
	r.fds = append(r.fds, fd)
	return fd, exit
}

func waitid(r *rig) {
	fd, exit := r.child()
	p := r.probe(proactor.Waitid, fd).submit()
	r.settle()
	if !p.op.InFlight() {
		r.Fatalf("before the exit: %+v", p.got)
	}
	exit()
	p.want(0)
}

func waitidLate(r *rig) {
	fd, exit := r.child()
	first := r.probe(proactor.Waitid, fd).submit()
	exit()
	first.want(0)
	r.probe(proactor.Waitid, fd).submit().want(0) // for it was not reaped
}

func waitidCancel(r *rig) {
	fd, exit := r.child()
	p := r.probe(proactor.Waitid, fd).submit()
	r.settle()
	r.Cancel(&p.op)
	p.wantErrno(syscall.ECANCELED)
	p.submit()
	exit()
	p.want(0)
}
