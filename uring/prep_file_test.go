//go:build linux

package uring

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func tempFile(t *testing.T, content string) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestReadAndWriteAtAnOffset(t *testing.T) {
	r := newRing(t, 8, nil)
	f := tempFile(t, "0123456789")
	fd := int(f.Fd())
	sqe(t, r).PrepWrite(fd, []byte("xy"), 4)
	waitRes(t, r, 0, 2)
	buf := make([]byte, 4)
	sqe(t, r).PrepRead(fd, buf, 3)
	waitRes(t, r, 0, 4)
	if string(buf) != "3xy6" {
		t.Errorf("%q", buf)
	}
	if _, err := f.Seek(8, 0); err != nil {
		t.Fatal(err)
	}
	sqe(t, r).PrepRead(fd, buf, CurrentOffset)
	waitRes(t, r, 0, 2)
	if string(buf[:2]) != "89" {
		t.Errorf("%q", buf)
	}
}

func TestReadvAndWritev(t *testing.T) {
	r := newRing(t, 8, nil)
	fd := int(tempFile(t, "").Fd())
	vecs := func(parts ...[]byte) []unix.Iovec { return vectors(parts) }
	sqe(t, r).PrepWritev(fd, vecs([]byte("ab"), []byte("cde")), 0)
	waitRes(t, r, 0, 5)
	x, y := make([]byte, 3), make([]byte, 3)
	sqe(t, r).PrepReadv(fd, vecs(x, y), 0)
	waitRes(t, r, 0, 5)
	if string(x) != "abc" || string(y[:2]) != "de" {
		t.Errorf("%q %q", x, y)
	}
}

func TestReadMultishotFollowsAPipe(t *testing.T) {
	needs(t, FeatureReadMultishot)
	r := newRing(t, 8, nil)
	br, err := r.RegisterBufRingWith(1, BufRingOptions{Count: 4, Size: 16, Start: 4})
	if err != nil {
		t.Fatal(err)
	}
	in, out := pipe(t)
	sqe(t, r).PrepReadMultishot(in, 1, CurrentOffset)
	for _, text := range []string{"one", "two", "three"} {
		write(t, out, text)
		c := waitRes(t, r, 0, int32(len(text)))
		if !c.More() || string(br.Buffer(c.BufID())[:c.Res]) != text {
			t.Errorf("%+v", c)
		}
	}
}

func TestSpliceMovesAFileIntoASocket(t *testing.T) {
	r := newRing(t, 8, nil)
	f := tempFile(t, "0123456789")
	in, out := pipe(t)
	a, b := pair(t, unix.SOCK_STREAM)
	s := sqe(t, r)
	s.PrepSplice(int(f.Fd()), 2, out, -1, 5, unix.SPLICE_F_MOVE)
	s.SetFlags(IOLink)
	s.SetUserData(1)
	s = sqe(t, r)
	s.PrepSplice(in, -1, a, -1, 5, unix.SPLICE_F_MOVE)
	s.SetUserData(2)
	waitRes(t, r, 1, 5)
	waitRes(t, r, 2, 5)
	if got := read(t, b); got != "23456" {
		t.Errorf("%q", got)
	}
}

func TestWaitidTellsAChildsExit(t *testing.T) {
	needs(t, FeatureWaitid)
	r := newRing(t, 8, nil)
	cmd := exec.Command("/bin/sh", "-c", "read line; exit 3")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip("needs /bin/sh:", err)
	}
	var info unix.Siginfo
	sqe(t, r).PrepWaitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, 0)
	quiet(t, r)
	in.Close()
	waitRes(t, r, 0, 0)
	const childExited = 1
	if info.Signo != int32(syscall.SIGCHLD) || info.Code != childExited {
		t.Errorf("%+v", info)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 3 {
		t.Error(err)
	}
}
