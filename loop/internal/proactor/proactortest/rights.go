package proactortest

import (
	"errors"
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

var rightsTests = []test{
	{name: "DescriptorsArriveAndWork", run: rightsWork},
	{name: "DescriptorsComeWithTheirBytes", run: rightsInOrder},
	{name: "DescriptorsThatNobodyReceivesAreClosed", run: rightsDropped},
	{name: "TrySendFDsWithoutRoomSendsNothing", run: rightsFull},
	{name: "TryRecvFDsSeesTheEnd", run: rightsEnd},
}

// file makes a file of a descriptor, which it takes.
func (r *rig) file(fd int) *os.File {
	r.Helper()
	if simulated, ok := r.Proactor.(interface{ File(int) (*os.File, error) }); ok {
		f, err := simulated.File(fd)
		r.must(err)
		r.disown(fd)
		return f
	}
	dup, err := syscall.Dup(fd)
	r.must(err)
	syscall.CloseOnExec(dup)
	r.closeFD(fd)
	return os.NewFile(uintptr(dup), "passed")
}

// disown has tearDown not close fd.
func (r *rig) disown(fd int) {
	for i, open := range r.fds {
		if open == fd {
			r.fds = append(r.fds[:i], r.fds[i+1:]...)
			return
		}
	}
}

// duplicate makes a descriptor to send, of one that it takes.
func (r *rig) duplicate(fd int) int {
	r.Helper()
	f := r.file(fd)
	dup, err := r.Duplicate(f)
	r.must(err)
	r.must(f.Close())
	return dup
}

// sendFDs sends data with descriptors, and closes those.
func (r *rig) sendFDs(fd int, data string, fds ...int) {
	r.Helper()
	n, err := r.TrySendFDs(fd, []byte(data), fds)
	r.must(err)
	if n != len(data) {
		r.Fatalf("%d of %d bytes", n, len(data))
	}
	for _, passed := range fds {
		r.must(r.CloseFD(passed))
	}
}

// recvFDs receives what comes next.
func (r *rig) recvFDs(fd int) (data []byte, files []*os.File) {
	r.Helper()
	buf := make([]byte, 100)
	r.until("something comes", func() bool {
		n, fs, lost, err := r.TryRecvFDs(fd, buf)
		if errors.Is(err, syscall.EAGAIN) {
			return false
		}
		r.must(err)
		if lost {
			r.Error("descriptors were lost")
		}
		data, files = buf[:n], fs
		return true
	})
	return data, files
}

func rightsWork(r *rig) {
	ours, theirs := r.pair(proactor.Unix)
	if _, _, _, err := r.TryRecvFDs(theirs, make([]byte, 1)); !errors.Is(err, syscall.EAGAIN) {
		r.Errorf("nothing there: %v", err)
	}
	a, b := r.pair(proactor.IPv4)
	c, d := r.pair(proactor.IPv4)
	r.sendFDs(ours, "two", r.duplicate(b), r.duplicate(d))
	data, files := r.recvFDs(theirs)
	r.same(data, []byte("two"))
	if len(files) != 2 {
		r.Fatalf("%d files", len(files))
	}
	for i, near := range []int{a, c} {
		far, err := r.Adopt(files[i])
		r.must(err)
		r.fds = append(r.fds, far)
		recv := r.probe(proactor.RecvAny, far).submit()
		r.send(near, []byte{'a' + byte(i)}).want(1)
		r.same(recv.receive(1), []byte{'a' + byte(i)})
	}
}

// rightsInOrder: a descriptor is there no later than the first byte it came with,
// and those of two messages are told apart.
func rightsInOrder(r *rig) {
	ours, theirs := r.pair(proactor.Unix)
	r.send(ours, []byte("ab")).want(2)
	for _, data := range []string{"cd", "ef"} {
		_, fd := r.pair(proactor.IPv4)
		r.sendFDs(ours, data, r.duplicate(fd))
	}
	r.send(ours, []byte("gh")).want(2)
	var got []byte
	count := 0
	for len(got) < 8 {
		data, files := r.recvFDs(theirs)
		if len(data) == 0 || len(files) > 1 {
			r.Fatalf("%q with %d files", data, len(files))
		}
		got = append(got, data...)
		for _, f := range files {
			count++
			fd, err := r.Adopt(f)
			r.must(err)
			r.fds = append(r.fds, fd)
		}
		if want := min((len(got)-1)/2, 2); count < want {
			r.Fatalf("%d files with %q", count, got)
		}
	}
	r.same(got, []byte("abcdefgh"))
	if count != 2 {
		r.Errorf("%d files", count)
	}
}

func rightsDropped(r *rig) {
	ours, theirs := r.pair(proactor.Unix)
	near, far := r.pair(proactor.IPv4)
	recv := r.probe(proactor.RecvAny, near).submit()
	r.sendFDs(ours, "x", r.duplicate(far))
	r.settle()
	if !recv.op.InFlight() {
		r.Fatal("closed on its way")
	}
	r.closeFD(ours)
	r.closeFD(theirs)
	recv.want(0)
}

func rightsFull(r *rig) {
	ours, theirs := r.pair(proactor.Unix)
	_, fd := r.pair(proactor.IPv4)
	passed := r.duplicate(fd)
	chunk := pattern(64 << 10)
	for zero := 0; zero < 3; {
		n, err := r.TrySend(ours, [][]byte{chunk})
		r.must(err)
		if n == 0 {
			zero++
			r.settle()
		}
	}
	if n, err := r.TrySendFDs(ours, chunk, []int{passed}); n != 0 || err != nil {
		r.Errorf("%d, %v", n, err)
	}
	r.must(r.CloseFD(passed))
	r.closeFD(theirs)
}

func rightsEnd(r *rig) {
	ours, theirs := r.pair(proactor.Unix)
	_, fd := r.pair(proactor.IPv4)
	passed := r.duplicate(fd)
	r.closeFD(theirs)
	r.settle()
	if n, err := r.TrySendFDs(ours, []byte("x"), []int{passed}); n != 0 ||
		!errors.Is(err, syscall.EPIPE) {
		r.Errorf("to nobody: %d, %v", n, err)
	}
	r.must(r.CloseFD(passed))
	if data, files := r.recvFDs(ours); len(data) > 0 || len(files) > 0 {
		r.Errorf("%q and %d files from nobody", data, len(files))
	}
}
