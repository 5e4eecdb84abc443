package unix_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
)

// staleSocket leaves a socket file that nobody serves at path.
func staleSocket(t *testing.T, path string) {
	t.Helper()
	ln := rig.Listener(t, path)
	ln.SetUnlinkOnClose(false)
	ln.Close()
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func TestS278_AStaleSocketFileIsReplacedAndNoOtherFile(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		path := rig.SocketPath(t)
		staleSocket(t, path)
		rig.ServeUnix(t, l, path, nil).DialUnix()
		for what, occupy := range map[string]func(path string) error{
			"file":      func(p string) error { return os.WriteFile(p, []byte("precious"), 0o600) },
			"directory": func(p string) error { return os.Mkdir(p, 0o700) },
			"link":      func(p string) error { return os.Symlink(path, p) },
			"dangling":  func(p string) error { return os.Symlink("nowhere", p) },
			"fifo":      func(p string) error { return syscall.Mkfifo(p, 0o600) },
		} {
			other := rig.SocketPath(t)
			if err := occupy(other); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(other)
			if err != nil {
				t.Fatal(err)
			}
			unixError(t, serveError(t, l, other, nil), "listen", syscall.EADDRINUSE)
			if after, err := os.Lstat(other); err != nil || !os.SameFile(before, after) {
				t.Errorf("the %s is gone: %v", what, err)
			}
		}
		if !exists(path) {
			t.Error("the target of a link was removed")
		}
	})
}

func TestS279_ALiveServerKeepsItsPathFromAProbingOne(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		path := rig.SocketPath(t)
		probe := &loop.UnixServerOptions{ProbeSocket: true}
		first := rig.ServeUnix(t, l, path, nil)
		unixError(t, serveError(t, l, path, probe), "listen", syscall.EADDRINUSE)
		first.DialUnix()
		second := rig.ServeUnix(t, l, path, nil) // without a probe, as asyncio does
		second.DialUnix()
		first.Close()
		if !exists(path) {
			t.Error("the first server's Close removed the second's file")
		}
		second.DialUnix()
		second.Close()
		staleSocket(t, path)
		rig.ServeUnix(t, l, path, probe).DialUnix()
	})
}

func TestS280_CloseRemovesTheSocketFile(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		path := rig.SocketPath(t)
		for _, o := range []*loop.UnixServerOptions{nil, rig.UnixServer(loop.ServerOptions{
			DeferServing: true})} {
			a := rig.ServeUnix(t, l, path, o)
			if !exists(path) {
				t.Error("no socket file")
			}
			a.Close()
			if exists(path) {
				t.Error("the file is there after Close")
			}
			a.Close()
			unixError(t, dialError(t, l, path), "dial", syscall.ENOENT)
		}
	})
}

func TestS280_ARelativePathIsThatOfTheDirectoryInWhichItWasBound(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		where := t.TempDir()
		t.Chdir(where)
		a := rig.ServeUnix(t, l, "socket", nil)
		t.Chdir(t.TempDir())
		a.Close()
		if exists(filepath.Join(where, "socket")) {
			t.Error("the file is there after Close")
		}
	})
}

func TestS280_CloseLeavesWhatIsNotItsOwn(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		path := rig.SocketPath(t)
		kept := rig.ServeUnix(t, l, path, &loop.UnixServerOptions{NoCleanupSocket: true})
		kept.Close()
		if !exists(path) {
			t.Error("the file is gone although that was forbidden")
		}
		unixError(t, dialError(t, l, path), "dial", syscall.ECONNREFUSED)

		gone := rig.ServeUnix(t, l, path, nil)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		gone.Close()

		replaced := rig.ServeUnix(t, l, path, nil)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		replaced.Close()
		if !exists(path) {
			t.Error("somebody else's file was removed")
		}
	})
}

func TestS280_CloseRemovesTheFileOfASocketOfTheUsers(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		for _, keep := range []bool{false, true} {
			path := rig.SocketPath(t)
			ln := rig.Listener(t, path)
			f, err := ln.File()
			ln.SetUnlinkOnClose(false)
			ln.Close()
			if err != nil {
				t.Fatal(err)
			}
			a := rig.ServeUnix(t, l, "", &loop.UnixServerOptions{NoCleanupSocket: keep,
				ServerOptions: loop.ServerOptions{Sock: f}})
			a.DialUnix()
			a.Close()
			if exists(path) != keep {
				t.Errorf("NoCleanupSocket %v, and the file is there: %v", keep, exists(path))
			}
		}
	})
}

func TestARelativeSocketFileIsRemovedFromElsewhere(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		path := rig.SocketPath(t)
		t.Chdir(filepath.Dir(path))
		a := rig.ServeUnix(t, l, "socket", nil)
		a.DialUnix()
		t.Chdir("/")
		a.Close()
		if exists(path) {
			t.Error("the file is there after Close")
		}
	})
}

func TestShutdownOfTheLoopRemovesTheSocketFile(t *testing.T) {
	for _, engine := range []loop.Engine{loop.Auto, loop.Epoll} {
		l, err := loop.New(&loop.Options{Engine: engine})
		if err != nil {
			t.Fatal(err)
		}
		path := rig.SocketPath(t)
		if _, err := l.CreateUnixServer(t.Context(), (&rig.Accepting{T: t}).Factory(), path,
			nil); err != nil {
			t.Fatal(err)
		}
		if err := l.Shutdown(t.Context()); err != nil || exists(path) {
			t.Errorf("Shutdown: %v; the file is there: %v", err, exists(path))
		}
	}
}

func TestASimulatedSocketHasNoFile(t *testing.T) {
	n := looptest.New(t, looptest.Options{})
	path := rig.SocketPath(t)
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := rig.ServeUnix(t, n.Loop, path, nil)
	a.DialUnix()
	a.Close()
	if b, err := os.ReadFile(path); string(b) != "precious" {
		t.Errorf("a simulated server touched a file: %q, %v", b, err)
	}
}

// umask is the process's; asking for it is changing it.
func umask() fs.FileMode {
	mask := syscall.Umask(0o022)
	syscall.Umask(mask)
	return fs.FileMode(mask)
}

func TestS285_TheModeOfTheFileIsWhatTheUmaskMakesIt(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		path := rig.SocketPath(t)
		rig.ServeUnix(t, l, path, nil)
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if want := fs.ModeSocket | 0o777&^umask(); info.Mode() != want {
			t.Errorf("mode %v, want %v", info.Mode(), want)
		}
	})
}

// unprivileged has the loop's thread do without the superuser's right to every
// file, until the end of the test: a thread has its own file system user id, and
// the others keep theirs (setfsuid(2)).
func unprivileged(t *testing.T, l *loop.Loop) {
	set := func(uid uintptr) {
		looptest.Do(l, func() { syscall.RawSyscall(syscall.SYS_SETFSUID, uid, 0, 0) })
	}
	const nobody = 65534
	if os.Geteuid() == 0 {
		set(nobody)
		t.Cleanup(func() { set(0) })
	}
}

func TestUnixPathsWithoutPermission(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		chmod := func(path string, mode fs.FileMode) {
			t.Helper()
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		path, stale, served := rig.SocketPath(t), rig.SocketPath(t), rig.SocketPath(t)
		staleSocket(t, stale)
		a := rig.ServeUnix(t, l, served, nil)
		chmod(served, 0o600)
		chmod(filepath.Dir(path), 0o000)
		chmod(filepath.Dir(stale), 0o555)
		if os.Geteuid() == 0 {
			chmod(filepath.Dir(served), 0o755)
		} else {
			chmod(served, 0o000)
			chmod(filepath.Dir(served), 0o555)
		}
		unprivileged(t, l)
		unixError(t, serveError(t, l, path, nil), "listen", syscall.EACCES)
		unixError(t, dialError(t, l, path), "dial", syscall.EACCES)
		unixError(t, serveError(t, l, stale, nil), "listen", syscall.EACCES)
		unixError(t, dialError(t, l, served), "dial", syscall.EACCES)
		looptest.Expect(l, "Unable to clean up listening UNIX socket")
		a.Close()
		for _, p := range []string{path, stale, served} {
			chmod(filepath.Dir(p), 0o755)
		}
		if !exists(stale) || !exists(served) {
			t.Error("a file was removed without permission")
		}
	})
}

func TestAUnixServerInADirectoryThatDoesNotExist(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		path := rig.SocketPath(t)
		unixError(t, serveError(t, l, filepath.Join(path, "s"), nil), "listen", syscall.ENOENT)
		staleSocket(t, path)
		unixError(t, serveError(t, l, filepath.Join(path, "s"), nil), "listen", syscall.ENOTDIR)
	})
}

func TestAnAbstractNameIsNotAFile(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		dir := filepath.Dir(rig.SocketPath(t))
		t.Chdir(dir)
		name := "@" + filepath.Base(dir)
		staleSocket(t, "./"+name)
		abstract := rig.ServeUnix(t, l, name, nil)
		abstract.DialUnix()
		abstract.Close()
		if !exists("./" + name) {
			t.Error("a file was removed for an abstract name")
		}
		rig.ServeUnix(t, l, "./"+name, nil).DialUnix()
	})
}

func TestS285_TheModeOfASocketFileIsTheOptions(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		for _, mode := range []fs.FileMode{0o600, 0o666, 0o660} {
			path := rig.SocketPath(t)
			rig.ServeUnix(t, l, path, &loop.UnixServerOptions{Mode: mode})
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != mode {
				t.Errorf("%v, want %v", info.Mode().Perm(), mode)
			}
		}
	})
}
