// Package examples_test runs the example programs as a user would: built, in
// processes of their own, against each other and against the tools that people
// have.
package examples_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
)

// waitTimeout bounds each program; nothing here takes a second.
const waitTimeout = 20 * time.Second

// binaries are the examples once they have been built. One call of the go command builds
// all of them, without the tables of debuggers: linking takes longer than most tests.
var binaries struct {
	dir  string // removed at the end
	once sync.Once
	out  []byte
	err  error
}

func TestMain(m *testing.M) {
	if os.Getenv("GOGC") == "" {
		os.Setenv("GOGC", "400") // for the linker too, which takes a third of the time
	}
	dir, err := os.MkdirTemp("", "examples")
	if err != nil {
		panic(err)
	}
	binaries.dir = dir
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// build returns the binary of an example, which it makes, or finds where SLUICE_EXAMPLES
// says that they have been built: .ci/kernel runs these tests where there is no Go.
func build(t *testing.T, name string) string {
	t.Helper()
	if dir := os.Getenv("SLUICE_EXAMPLES"); dir != "" {
		return filepath.Join(dir, name)
	}
	binaries.once.Do(func() {
		binaries.out, binaries.err = exec.Command("go", "build", "-ldflags=-w",
			"-o", binaries.dir, "./...").CombinedOutput()
	})
	if binaries.err != nil {
		t.Fatalf("go build ./...: %v\n%s", binaries.err, binaries.out)
	}
	return filepath.Join(binaries.dir, name)
}

// engines runs f with each engine that SLUICE_ENGINE can name and that there is.
func engines(t *testing.T, f func(t *testing.T, env []string)) {
	for _, name := range []string{"uring", "epoll"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SLUICE_ENGINE", name)
			l, err := loop.New(nil)
			if err != nil {
				t.Skipf("needs %s (%v)", name, err)
			}
			l.Close()
			f(t, append(os.Environ(), "SLUICE_ENGINE="+name))
		})
	}
}

// need finds a tool or skips.
func need(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s", name)
	}
	return path
}

// server is a running example.
type server struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	mu    sync.Mutex
	log   bytes.Buffer
}

// start runs a server and waits for the line that says that it serves.
func start(t *testing.T, env []string, ready, bin string, args ...string) *server {
	t.Helper()
	s := &server{t: t, cmd: exec.Command(bin, args...), lines: make(chan string, 1000)}
	s.cmd.Env = env
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = s.cmd.Stdout
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(s.lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			s.mu.Lock()
			s.log.WriteString(scan.Text() + "\n")
			s.mu.Unlock()
			s.lines <- scan.Text()
		}
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-ended
		_ = s.cmd.Wait()
	})
	s.expect(ready)
	return s
}

// expect waits for a line that contains text and returns it.
func (s *server) expect(text string) string {
	s.t.Helper()
	timeout := time.After(waitTimeout)
	for {
		select {
		case line, ok := <-s.lines:
			if strings.Contains(line, text) {
				return line
			}
			if !ok {
				s.t.Fatalf("the server ended without %q:\n%s", text, s.output())
			}
		case <-timeout:
			s.t.Fatalf("no %q from the server:\n%s", text, s.output())
		}
	}
}

func (s *server) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// run runs a program to its end and returns what it printed.
func run(t *testing.T, env []string, stdin []byte, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func contains(t *testing.T, out string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("no %q in:\n%s", w, out)
		}
	}
}

func TestTCPEchoServerAndClient(t *testing.T) {
	serverBin, clientBin := build(t, "tcp-echo-server"), build(t, "tcp-echo-client")
	engines(t, func(t *testing.T, env []string) {
		s := start(t, env, "Serving on", serverBin)
		for range 3 {
			contains(t, run(t, env, nil, clientBin), `Data sent: "Hello World!"`,
				`Data received: "Hello World!"`, "The server closed the connection")
			s.expect("Connection from 127.0.0.1")
			s.expect(`Data received: "Hello World!"`)
		}
	})
}

func TestTCPEchoServerWithNetcat(t *testing.T) {
	nc, bin := need(t, "nc"), build(t, "tcp-echo-server")
	engines(t, func(t *testing.T, env []string) {
		start(t, env, "Serving on", bin)
		out := run(t, env, []byte("from nc\n"), nc, "127.0.0.1", "8888")
		contains(t, out, "from nc\n")
	})
}

func TestTCPEchoServerWithSocat(t *testing.T) {
	socat, bin := need(t, "socat"), build(t, "tcp-echo-server")
	engines(t, func(t *testing.T, env []string) {
		start(t, env, "Serving on", bin)
		out := run(t, env, []byte("from socat\n"), socat, "-t5", "-", "TCP:127.0.0.1:8888")
		contains(t, out, "from socat\n")
	})
}

func TestTCPEchoClientSaysThatNobodyListens(t *testing.T) {
	bin := build(t, "tcp-echo-client")
	engines(t, func(t *testing.T, env []string) {
		cmd := exec.Command(bin)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("the client succeeded without a server: %s", out)
		}
		contains(t, string(out), "connection refused", "127.0.0.1:8888")
	})
}

func TestTCPEchoServerSaysThatThePortIsInUse(t *testing.T) {
	bin := build(t, "tcp-echo-server")
	engines(t, func(t *testing.T, env []string) {
		start(t, env, "Serving on", bin)
		cmd := exec.Command(bin)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("two servers on one port: %s", out)
		}
		contains(t, string(out), "address already in use", "127.0.0.1:8888")
	})
}

func TestExistingSocket(t *testing.T) {
	bin := build(t, "existing-socket")
	engines(t, func(t *testing.T, env []string) {
		contains(t, run(t, env, nil, bin), `Received: "abc"`)
	})
}

func TestBufferedUploadHashesARealFile(t *testing.T) {
	nc, sha256sum := need(t, "nc"), need(t, "sha256sum")
	bin := build(t, "buffered-upload")
	data := make([]byte, 32<<20+12345)
	rand.Read(data)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	want, _, _ := strings.Cut(run(t, nil, nil, sha256sum, file), " ")
	if sum := sha256.Sum256(data); want != hex.EncodeToString(sum[:]) {
		t.Fatalf("sha256sum says %s, crypto/sha256 %x", want, sum)
	}
	engines(t, func(t *testing.T, env []string) {
		s := start(t, env, "Receiving uploads on", bin, "-listen", "127.0.0.1:18889")
		reply := run(t, env, data, nc, "-N", "127.0.0.1", "18889")
		contains(t, reply, want, "33566777 bytes", "MB/s")
		contains(t, s.expect(want), "33566777 bytes")
	})
}
