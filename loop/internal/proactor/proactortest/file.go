package proactortest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

var fileTests = []test{
	{name: "TrySendfileSendsARange", run: sendfileRange},
	{name: "TrySendfileStopsWithoutRoom", run: sendfileFull},
	{name: "TrySendfileNamesWhatIsWrong", run: sendfileFails},
	{name: "CachedOfWhatWasJustRead", run: cached},
}

// regular makes a regular file of n bytes, open for reading.
func (r *rig) regular(n int) (*os.File, proactor.File, []byte) {
	r.Helper()
	content := pattern(n)
	name := filepath.Join(r.TempDir(), "f")
	r.must(os.WriteFile(name, content, 0o600))
	f, err := os.Open(name)
	r.must(err)
	r.Cleanup(func() { f.Close() })
	raw, err := f.SyscallConn()
	r.must(err)
	return f, proactor.File{ReaderAt: f, Conn: raw}, content
}

// sendFile sends a range, waiting for room.
func (r *rig) sendFile(fd int, from proactor.File, offset int64, n int) {
	r.Helper()
	r.until("the file is sent", func() bool {
		for n > 0 {
			sent, err := r.TrySendfile(fd, from, offset, n)
			r.must(err)
			if sent < 0 || sent > n {
				r.Fatalf("%d of %d bytes", sent, n)
			}
			if sent == 0 {
				return false
			}
			offset, n = offset+int64(sent), n-sent
		}
		return true
	})
}

func sendfileRange(r *rig) {
	for _, family := range []proactor.Family{proactor.IPv4, proactor.Unix} {
		client, server := r.pair(family)
		f, from, content := r.regular(100_000)
		recv := r.probe(proactor.RecvAny, server).submit()
		r.send(client, []byte("before")).want(6)
		r.sendFile(client, from, 50_000, 50_000)
		r.sendFile(client, from, 7, 1)
		r.send(client, []byte("after")).want(5)
		want := append([]byte("before"), content[50_000:]...)
		want = append(append(want, content[7]), "after"...)
		r.same(recv.receive(len(want)), want)
		if at, err := f.Seek(0, io.SeekCurrent); at != 0 || err != nil {
			r.Errorf("the file's position is %d, %v", at, err)
		}
	}
}

func sendfileFull(r *rig) {
	client, server := r.pair(proactor.IPv4)
	_, from, content := r.regular(8 << 20)
	sent := 0
	for zero := 0; zero < 3; {
		n, err := r.TrySendfile(client, from, int64(sent), len(content)-sent)
		r.must(err)
		if sent += n; n == 0 {
			zero++
			r.settle()
		}
	}
	if sent == 0 || sent == len(content) {
		r.Fatalf("%d bytes fit", sent)
	}
	recv := r.probe(proactor.RecvAny, server).submit()
	r.sendFile(client, from, int64(sent), len(content)-sent)
	r.same(recv.receive(len(content)), content)
}

func sendfileFails(r *rig) {
	client, server := r.pair(proactor.IPv4)
	f, from, _ := r.regular(1000)
	for _, offset := range []int64{1000, 1 << 40} {
		if n, err := r.TrySendfile(client, from, offset, 10); n != 0 || err != io.EOF {
			r.Errorf("from %d: %d, %v", offset, n, err)
		}
	}
	if _, err := r.TrySendfile(1<<20, from, 0, 10); !errors.Is(err, syscall.EBADF) {
		r.Errorf("to a bad descriptor: %v", err)
	}
	r.reset(server)
	r.settle()
	var err error
	for range 3 { // the first tells of the reset
		if _, err = r.TrySendfile(client, from, 0, 10); err == nil {
			r.settle()
		}
	}
	if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		r.Errorf("to a peer that is gone: %v", err)
	}
	r.must(f.Close())
	other, _ := r.pair(proactor.IPv4)
	if n, err := r.TrySendfile(other, from, 0, 10); n != 0 || !errors.Is(err, os.ErrClosed) {
		r.Errorf("from a closed file: %d, %v", n, err)
	}
}

// needsAnswer skips where nobody can say whether f is in memory: RWF_NOWAIT is no
// flag for a read of tmpfs, and cachestat(2) came with Linux 6.5.
func (r *rig) needsAnswer(f *os.File) {
	r.Helper()
	const tmpfs = 0x01021994 // TMPFS_MAGIC of linux/magic.h
	var fs syscall.Statfs_t
	r.must(syscall.Statfs(f.Name(), &fs))
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	r.must(err)
	var major, minor int
	_, err = fmt.Sscanf(string(release), "%d.%d", &major, &minor)
	r.must(err)
	if fs.Type == tmpfs && (major < 6 || major == 6 && minor < 5) {
		r.Skip("needs cachestat (Linux 6.5), for a file on tmpfs")
	}
}

func cached(r *rig) {
	f, from, content := r.regular(300_000)
	r.needsAnswer(f)
	buf := make([]byte, len(content))
	if _, err := f.ReadAt(buf, 0); err != nil {
		r.Fatal(err)
	}
	for _, size := range []int{1, 4096, len(content)} {
		if !r.Cached(from, 0, size) {
			r.Errorf("%d bytes that were just read are not in memory", size)
		}
	}
	r.Cached(from, 1<<40, 10) // a guess, whatever it is
	if at, err := f.Seek(0, io.SeekCurrent); at != 0 || err != nil {
		r.Errorf("the file's position is %d, %v", at, err)
	}
}
