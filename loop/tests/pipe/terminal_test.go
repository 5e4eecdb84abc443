package pipe_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport/transporttest"
	"golang.org/x/sys/unix"
)

// ptyNumber unlocks the terminal behind a master and returns its number.
func ptyNumber(fd int) (int, error) {
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return 0, err
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	return int(n), err
}

// openPTY opens a pair.
func openPTY(t *testing.T) (master, slave *os.File) {
	t.Helper()
	fd, err := syscall.Open("/dev/ptmx", syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("needs pseudoterminals: ", err)
	}
	master = os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { master.Close() })
	n, err := ptyNumber(fd)
	if err != nil {
		t.Skip("needs pseudoterminals: ", err)
	}
	name := fmt.Sprintf("/dev/pts/%d", n)
	fd, err = syscall.Open(name, syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("needs pseudoterminals: ", err)
	}
	slave = os.NewFile(uintptr(fd), name)
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// duplicateFile is the same open file once more.
func duplicateFile(t *testing.T, f *os.File) *os.File {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), f.Name())
}

func TestS300_TerminalIsReadAndWritten(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		master, slave := openPTY(t)
		shared := duplicateFile(t, slave)
		defer shared.Close()
		in, out := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
		rig.ReadPipe(t, l, in, duplicateFile(t, slave))
		rig.WritePipe(t, l, out, slave)
		if rig.IsNonblocking(t, int(shared.Fd())) {
			t.Error("the terminal is non-blocking for everybody")
		}
		if _, err := master.Write([]byte("typed\n")); err != nil {
			t.Fatal(err)
		}
		looptest.WaitFor(t, l, "what was typed", func() bool { return in.Received() == 6 })
		looptest.Do(l, func() { out.Transport().Write([]byte("shown")) })
		got := make([]byte, 0, 100)
		for !bytes.Contains(got, []byte("shown")) {
			n, err := master.Read(got[len(got):cap(got)])
			if err != nil {
				t.Fatal(err)
			}
			got = got[:len(got)+n]
		}
		master.Close() // hangs up
		rig.WaitLostWith(t, l, in, nil)
		looptest.Do(l, func() { out.Transport().Close() })
		rig.WaitLost(t, l, out)
	})
}

// The master's EIO, when nobody has the terminal open any more, is EOF.
func TestS292_HungUpTerminalIsAtItsEnd(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		master, slave := openPTY(t)
		r := transporttest.NewRecorder(t)
		rig.ReadPipe(t, l, r, master)
		if _, err := slave.Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		looptest.WaitFor(t, l, "the last words", func() bool { return r.Received() == 10 })
		slave.Close()
		rig.WaitLostWith(t, l, r, nil)
		if !strings.HasSuffix(r.Trace(), "eof, lost <nil>") {
			t.Error(r.Trace())
		}
	})
}

func TestS286_DevicesThatCannotBePolled(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		open := func(path string) *os.File {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Skip("needs ", path)
			}
			return f
		}
		null, zero, out := transporttest.NewRecorder(t), transporttest.NewRecorder(t),
			transporttest.NewRecorder(t)
		rig.ReadPipe(t, l, null, open("/dev/null"))
		rig.WaitTrace(t, l, null, "made, eof, lost <nil>")
		rig.WaitLostWith(t, l, null, nil)
		zero.On.Data = func([]byte) { zero.Transport().Close() }
		rig.ReadPipe(t, l, zero, open("/dev/zero"))
		rig.WaitLostWith(t, l, zero, nil)
		rig.WritePipe(t, l, out, open("/dev/null"))
		looptest.Do(l, func() {
			out.Transport().Write(make([]byte, 1<<20))
			out.Transport().Close()
		})
		rig.WaitLostWith(t, l, out, nil)
	})
}
