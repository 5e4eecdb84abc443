package simio_test

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/simio"
	"github.com/sluice-net/sluice/uring"
)

// kernelRig is what the scripts have of a kernel: a ring, and descriptors. There are
// two, Linux and a simulated machine, on which the scripts have to see the same.
type kernelRig interface {
	system() uring.System
	pair() (a, b int)                // Unix streams
	pipe() (r, w int)                //
	send(fd int, b []byte) int       // bytes taken, 0 if there is no room
	drain(fd int)                    // receives all that is there
	closeWrite(fd int)               // ends a stream
	closeFD(fd int)                  //
	eventfd() (fd int, write func()) //
}

// onLinux is the machine's own kernel.
type onLinux struct{ t *testing.T }

func (k onLinux) system() uring.System { return nil }

func (k onLinux) must(err error) {
	if err != nil {
		k.t.Helper()
		k.t.Fatal(err)
	}
}

func (k onLinux) later(fds ...int) {
	k.t.Cleanup(func() {
		for _, fd := range fds {
			syscall.Close(fd)
		}
	})
}

func (k onLinux) pair() (a, b int) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|
		syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	k.must(err)
	k.later(fds[:]...)
	return fds[0], fds[1]
}

func (k onLinux) pipe() (r, w int) {
	var fds [2]int
	k.must(syscall.Pipe2(fds[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC))
	k.later(fds[:]...)
	return fds[0], fds[1]
}

func (k onLinux) send(fd int, b []byte) int {
	n, err := syscall.SendmsgN(fd, b, nil, nil, syscall.MSG_NOSIGNAL)
	if err != nil && err != syscall.EAGAIN {
		k.t.Fatal(err)
	}
	return max(n, 0)
}

func (k onLinux) drain(fd int) {
	for b := make([]byte, 64<<10); ; {
		if n, err := syscall.Read(fd, b); n <= 0 || err != nil {
			return
		}
	}
}

func (k onLinux) closeWrite(fd int) { k.must(syscall.Shutdown(fd, syscall.SHUT_WR)) }

// closeFD leaves the number to a descriptor that Cleanup may close.
func (k onLinux) closeFD(fd int) {
	other, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	k.must(err)
	k.must(syscall.Dup3(other, fd, syscall.O_CLOEXEC))
	k.must(syscall.Close(other))
}

func (k onLinux) eventfd() (int, func()) {
	r, w := k.pipe()
	return r, func() { _, err := syscall.Write(w, make([]byte, 8)); k.must(err) }
}

// onMachine is a simulated one.
type onMachine struct {
	t *testing.T
	m *simio.Machine
}

func (k onMachine) system() uring.System { return k.m.System() }
func (k onMachine) pair() (a, b int)     { return k.m.Pair() }
func (k onMachine) pipe() (r, w int)     { return k.m.Pipe() }

func (k onMachine) send(fd int, b []byte) int {
	n, err := k.m.TrySend(fd, [][]byte{b})
	if err != nil {
		k.t.Fatal(err)
	}
	return n
}

func (k onMachine) drain(fd int) {
	for b := make([]byte, 64<<10); ; {
		if n, _, _, err := k.m.TryRecvFDs(fd, b); n == 0 || err != nil {
			return
		}
	}
}

func (k onMachine) must(err error) {
	if err != nil {
		k.t.Helper()
		k.t.Fatal(err)
	}
}

func (k onMachine) closeWrite(fd int) { k.must(k.m.ShutdownWrite(fd)) }
func (k onMachine) closeFD(fd int)    { k.must(k.m.CloseFD(fd)) }

func (k onMachine) eventfd() (int, func()) {
	fd, write, err := k.m.Eventfd()
	k.must(err)
	return fd, write
}

// TestRingDoesWhatLinuxDoes runs scripts on Linux and on the simulated ring.
func TestRingDoesWhatLinuxDoes(t *testing.T) {
	for _, s := range ringScripts {
		t.Run(s.name+"/sim", func(t *testing.T) {
			for seed := range uint64(4) {
				runScript(t, s, onMachine{t, simio.NewMachine(simio.Options{Seed: seed})})
			}
		})
		t.Run(s.name+"/linux", func(t *testing.T) { runScript(t, s, onLinux{t}) })
	}
}

// scriptRig is a ring in a script, which keeps a trace.
type scriptRig struct {
	kernelRig
	*testing.T
	ring  *uring.Ring
	trace string
}

func runScript(t *testing.T, s ringScript, k kernelRig) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ring, err := uring.New(8, &uring.Options{CQEntries: s.cq, System: k.system()})
	if err != nil {
		t.Skip("needs io_uring:", err)
	}
	if ring.Flags()&uring.SetupDeferTaskrun == 0 {
		t.Skip("needs Linux 6.1")
	}
	r := &scriptRig{kernelRig: k, T: t, ring: ring}
	s.run(r)
	if err := ring.Close(); err != nil {
		t.Error(err)
	}
	if r.trace != s.want {
		t.Errorf("saw\n%s\nand not\n%s", r.trace, s.want)
	}
}

// sqe prepares an entry and names it.
func (r *scriptRig) sqe(userData uint64, prepare func(*uring.SQE)) {
	s := r.ring.SQE()
	prepare(s)
	s.SetUserData(userData)
}

// enter submits all, and runs what is ready.
func (r *scriptRig) enter() {
	r.Helper()
	if _, err := r.ring.EnterNB(); err != nil {
		r.Fatal(err)
	}
}

// full fills what fd sends into.
func (r *scriptRig) full(fd int) {
	for b := make([]byte, 4<<10); r.send(fd, b) > 0; {
	}
	for b := make([]byte, 1); r.send(fd, b) > 0; {
	}
}

const scriptTimeout = 100 * time.Millisecond
