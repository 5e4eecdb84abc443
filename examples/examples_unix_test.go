package examples_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// socketPath is in a directory of the test's own, with a name that is short
// enough for a Unix socket.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "unix")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "socket")
}

func TestUnixEchoWithNetcat(t *testing.T) {
	nc, bin := need(t, "nc"), build(t, "unix-echo")
	engines(t, func(t *testing.T, env []string) {
		path := socketPath(t)
		s := start(t, env, "Serving on "+path, bin, path)
		out := run(t, env, []byte("from nc\n"), nc, "-N", "-U", path)
		contains(t, out, "from nc\n")
		s.expect(fmt.Sprintf("of user %d", os.Geteuid()))
	})
}

func TestUnixEchoWithSocat(t *testing.T) {
	socat, bin := need(t, "socat"), build(t, "unix-echo")
	data := bytes.Repeat([]byte("all work and no play\n"), 100_000)
	engines(t, func(t *testing.T, env []string) {
		path := socketPath(t)
		start(t, env, "Serving on "+path, bin, path)
		for range 2 {
			out := run(t, env, data, socat, "-t10", "-", "UNIX-CONNECT:"+path)
			if out != string(data) {
				t.Errorf("%d bytes came back of %d", len(out), len(data))
			}
		}
		start(t, env, "Serving on @", bin, "@"+path)
		out := run(t, env, []byte("abstract\n"), socat, "-t10", "-", "ABSTRACT-CONNECT:"+path)
		contains(t, out, "abstract\n")
	})
}

func TestUnixEchoReplacesAStaleFileAndRemovesItsOwn(t *testing.T) {
	nc, bin := need(t, "nc"), build(t, "unix-echo")
	engines(t, func(t *testing.T, env []string) {
		path := socketPath(t)
		killed := start(t, env, "Serving on", bin, path)
		if err := killed.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for range killed.lines { // until it has ended
		}
		if _, err := os.Lstat(path); err != nil {
			t.Fatalf("a killed server left no file: %v", err)
		}
		s := start(t, env, "Serving on", bin, path)
		contains(t, run(t, env, []byte("again\n"), nc, "-N", "-U", path), "again\n")
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		for range s.lines {
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the file is there after SIGTERM: %v", err)
		}
	})
}

func TestUnixEchoLeavesAFileThatIsNotASocketAlone(t *testing.T) {
	bin := build(t, "unix-echo")
	engines(t, func(t *testing.T, env []string) {
		path := socketPath(t)
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(bin, path)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("the server took the place of a file: %s", out)
		}
		contains(t, string(out), "address already in use", path)
		if b, err := os.ReadFile(path); string(b) != "precious" {
			t.Errorf("the file is %q now, %v", b, err)
		}
	})
}

func TestUnixEchoLeavesAServerThatRunsAlone(t *testing.T) {
	nc, bin := need(t, "nc"), build(t, "unix-echo")
	engines(t, func(t *testing.T, env []string) {
		path := socketPath(t)
		start(t, env, "Serving on", bin, path)
		cmd := exec.Command(bin, path)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("two servers on one path: %s", out)
		}
		contains(t, string(out), "address already in use", path)
		contains(t, run(t, env, []byte("first\n"), nc, "-N", "-U", path), "first\n")
	})
}

func TestUnixEchoKeepsTheBoundsOfMessages(t *testing.T) {
	bin := build(t, "unix-echo")
	engines(t, func(t *testing.T, env []string) {
		path := socketPath(t)
		start(t, env, "Serving on", bin, "-messages", path)
		c, err := net.Dial("unixpacket", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, m := range []string{"one", "two"} {
			if _, err := c.Write([]byte(m)); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []string{"one", "two"} {
			buf := make([]byte, 100)
			if n, err := c.Read(buf); err != nil || string(buf[:n]) != want {
				t.Errorf("received %q, %v, want %q", buf[:n], err, want)
			}
		}
	})
}
