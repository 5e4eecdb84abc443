package sys

import (
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// blocking are descriptors that are no sockets, in blocking mode: a reader with nothing
// to read, and a writer with room.
func blocking(t *testing.T) map[string][2]int {
	t.Helper()
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	fds := map[string][2]int{"pipe": pipe}
	t.Cleanup(func() { unix.Close(pipe[0]); unix.Close(pipe[1]) })
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fds // the pipe is enough
	}
	t.Cleanup(func() { unix.Close(master) })
	number, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil || unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0) != nil {
		return fds
	}
	slave, err := unix.Open("/dev/pts/"+strconv.Itoa(number),
		unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err == nil {
		t.Cleanup(func() { unix.Close(slave) })
		fds["terminal"] = [2]int{slave, master}
	}
	return fds
}

func TestReadingAndWritingDoNotWaitWhateverTheMode(t *testing.T) {
	for what, fds := range blocking(t) {
		t.Run(what, func(t *testing.T) {
			for _, plain := range []bool{false, true} {
				for _, fd := range fds {
					unix.SetNonblock(fd, false)
				}
				var buf [8]byte
				p := unsafe.Pointer(&buf)
				if n, e := ReadNow(fds[0], p, len(buf), &plain); n != 0 || e != syscall.EAGAIN {
					t.Errorf("read of nothing: %d, %v", n, e)
				}
				text := []byte("four")
				iov := []unix.Iovec{{Base: &text[0]}}
				iov[0].SetLen(len(text))
				if n, e := WriteNow(fds[1], iov, &plain); n != 4 || e != 0 {
					t.Errorf("write: %d, %v", n, e)
				}
				written := 0
				unix.SetNonblock(fds[1], false)
				big := make([]byte, 4096)
				iov[0] = unix.Iovec{Base: &big[0]}
				iov[0].SetLen(len(big))
				for e := syscall.Errno(0); e == 0 && written < 8<<20; {
					n := 0
					n, e = WriteNow(fds[1], iov, &plain)
					written += n
				}
				if written >= 8<<20 {
					t.Errorf("it took %d bytes that nobody read", written)
				}
				drain(fds[0])
			}
		})
	}
}

func drain(fd int) {
	plain, buf := false, make([]byte, 1<<16)
	for e := syscall.Errno(0); e == 0; {
		_, e = ReadNow(fd, unsafe.Pointer(&buf[0]), len(buf), &plain)
	}
}

func TestDeviceIsClosedElsewhere(t *testing.T) {
	var k Kernel
	for range 3 * closersMax {
		fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.CloseFD(fd); err != nil {
			t.Error(err)
		}
		for end := time.Now().Add(30 * time.Second); ; runtime.Gosched() {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == unix.EBADF {
				break
			}
			if time.Now().After(end) {
				t.Fatal("still open")
			}
		}
	}
}

// TestClosesThatWaitLeaveRoomForOthers has as many closes wait as may, and one more.
func TestClosesThatWaitLeaveRoomForOthers(t *testing.T) {
	var c closer
	held := make(chan struct{})
	for range closersMax {
		c.do(func() { <-held })
	}
	last := make(chan struct{})
	c.do(func() { close(last) })
	close(held)
	<-last
}
