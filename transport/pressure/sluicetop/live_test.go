package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/demo"
	"github.com/sluice-net/sluice/transport/pressure/internal/record"
)

// truth is what holds the connection of each scene back.
var truth = map[string]struct {
	sending bool
	cause   pressure.Cause
	finding string
}{
	demo.SlowPeer:     {true, pressure.CausePeer, "slow-peer"},
	demo.PausedReader: {false, pressure.CauseApp, "reading-paused"},
	demo.StarvedRing:  {false, pressure.CauseBuffers, "starved-buffer-ring"},
	demo.SmallSndBuf:  {true, pressure.CauseSndBuf, "small-sndbuf"},
	demo.BusyLoop:     {false, pressure.CauseLoop, "busy-loop"},
}

var probe = sync.OnceValue(pressure.Probe)

// asCommand is set for a process that is to be the command.
const asCommand = "SLUICETOP_TEST_COMMAND"

// built returns a program that is the command as a process of its own: this very
// binary, where every user can run it.
func built(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	name := filepath.Join(dir, "sluicetop")
	err = create(name, func(w io.Writer) error {
		_, err := io.Copy(w, self)
		return err
	})
	if err := errors.Join(err, os.Chmod(name, 0o755)); err != nil {
		t.Fatal(err)
	}
	t.Setenv(asCommand, "1")
	return name
}

// staged starts the demo server and its peers.
func staged(t *testing.T) *demo.Server {
	t.Helper()
	server, err := demo.Start()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	played := make(chan error, 1)
	go func() { played <- demo.Peers(ctx, server.At) }()
	t.Cleanup(func() {
		cancel()
		if err := <-played; err != nil {
			t.Error(err)
		}
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// execute runs the command as a process and returns what it wrote.
func execute(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("sluicetop %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// The whole way: the command, as a process, looks at a server in which each connection is
// held back in another place.
func TestAStagedServer(t *testing.T) {
	if s := probe(); s.Err != nil {
		t.Skipf("needs %v", s.Err)
	}
	server, name := staged(t), built(t)
	pid := strconv.Itoa(server.PID)
	t.Run("top", func(t *testing.T) {
		out := execute(t, name, "top", "-p", pid, "-n", "2", "-interval", "500ms")
		if n := strings.Count(out, "FD PEER"); n != 2 {
			t.Errorf("prints %d tables:\n%s", n, out)
		}
		if !strings.Contains(out, "level snapshot+edges") || !strings.Contains(out, "  loop 1 (") {
			t.Errorf("prints\n%s", out)
		}
	})
	t.Run("record", func(t *testing.T) { recordedTruth(t, name, pid, server) })
	t.Run("metrics", func(t *testing.T) { scraped(t, name, pid, server) })
	t.Run("terminal", func(t *testing.T) { onTerminal(t, name, pid) })
	t.Run("nobody", func(t *testing.T) { asNobody(t, name, pid) })
}

// recordedTruth records for a while and compares all that is made of it with
// what was staged.
func recordedTruth(t *testing.T, name, pid string, server *demo.Server) {
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace.json")
	execute(t, name, "record", "-p", pid, "-o", trace, "-duration", "1500ms")
	r, err := open(trace)
	if err != nil {
		t.Fatal(err)
	}
	doctor := execute(t, name, "doctor", trace)
	for scene, want := range truth {
		var got pressure.Cause
		for _, a := range r.Totals() {
			if a.Local != server.At[scene] {
				continue
			}
			got = a.Receive.Verdict
			if want.sending {
				got = a.Send.Verdict
			}
		}
		if got != want.cause {
			t.Errorf("%s is held back by %s, not by %s", scene, got, want.cause)
		}
		finding := regexp.MustCompile(want.finding + `: .*` + server.At[scene].String())
		if !finding.MatchString(doctor) {
			t.Errorf("of %s the doctor does not say %s:\n%s", scene, want.finding, doctor)
		}
	}
	if strings.Contains(doctor, server.At[demo.Idle].String()) {
		t.Errorf("the doctor finds something with the idle connection:\n%s", doctor)
	}
	artefacts(t, name, trace, dir, r)
}

func artefacts(t *testing.T, name, trace, dir string, r *record.Recording) {
	page := filepath.Join(dir, "r.html")
	execute(t, name, "report", trace, "-o", page, "-diff", trace)
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"sending: peer", "receiving: buffers", "as before"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page has no %q", want)
		}
	}
	profile := filepath.Join(dir, "p.pb.gz")
	execute(t, name, "pprof", trace, "-o", profile)
	out, err := exec.Command("go", "tool", "pprof", "-top", profile).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "sndbuf") {
		t.Errorf("go tool pprof: %v\n%s", err, out)
	}
	paused := false
	for _, w := range r.Waits() {
		paused = paused || w.Kind == record.ReadingPaused
	}
	if !paused {
		t.Error("the recording has no pause: the flow page was not seen")
	}
}

// scraped asks the exporter as Prometheus does.
func scraped(t *testing.T, name, pid string, server *demo.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, "metrics", "-p", pid, "-listen", "127.0.0.1:0")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("does not end well: %v", err)
		}
	}()
	line := make([]byte, 200)
	n, err := log.Read(line)
	url := regexp.MustCompile(`http://\S+`).FindString(string(line[:n]))
	if err != nil || url == "" {
		t.Fatalf("says %q (%v)", line[:n], err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	want := regexp.MustCompile(`sluice_connections\{listener="` +
		regexp.QuoteMeta(server.At[demo.SlowPeer].String()) + `"\} 1`)
	waited := `cause="peer",direction="send",listener="` + server.At[demo.SlowPeer].String()
	until(t, ctx, func() string {
		answer, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || !want.Match(text) {
			t.Fatalf("the series of the slow peer are not there (%v):\n%s", err, text)
		}
		return string(text)
	}, waited)
}

// until asks until the answer has what is wanted.
func until(t *testing.T, ctx context.Context, ask func() string, want string) {
	t.Helper()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for answer := ask(); !strings.Contains(answer, want); answer = ask() {
		select {
		case <-ctx.Done():
			t.Fatalf("%q does not come, but\n%s", want, answer)
		case <-ticker.C:
		}
	}
}

// onTerminal runs the live table in a terminal multiplexer and quits it.
func onTerminal(t *testing.T, name, pid string) {
	tmux, err := exec.LookPath("tmux")
	if err != nil {
		t.Skip("needs tmux")
	}
	socket := filepath.Join(t.TempDir(), "tmux")
	terminal := func(args ...string) string {
		args = append([]string{"-f", "/dev/null", "-S", socket}, args...)
		out, err := exec.Command(tmux, args...).CombinedOutput()
		if err != nil {
			return "tmux: " + err.Error()
		}
		return string(out)
	}
	terminal("new-session", "-d", "-x", "120", "-y", "40",
		name+" top -p "+pid+" -interval 200ms; cat")
	defer terminal("kill-server")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	screen := func() string { return terminal("capture-pane", "-p") }
	until(t, ctx, screen, "[█████]")
	terminal("send-keys", "?")
	until(t, ctx, screen, "HELD BY says what held it back")
	terminal("send-keys", "x", "/", "zzz")
	until(t, ctx, screen, "no connection matches")
	terminal("send-keys", "Escape")
	until(t, ctx, screen, "q quit") // or the two keys would be one, Alt+Enter
	terminal("send-keys", "Enter")
	until(t, ctx, screen, "newest at the right")
	terminal("send-keys", "q")
	until(t, ctx, func() string {
		if strings.Contains(screen(), "sluicetop") {
			return ""
		}
		return "quit"
	}, "quit")
}

// asNobody looks without any privilege at the process of somebody else.
func asNobody(t *testing.T, name, pid string) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become nobody")
	}
	cmd := exec.Command(name, "top", "-p", pid, "-n", "1", "-interval", "100ms")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("nobody can look at a process of root:\n%s", out)
	}
	if text := string(out); !strings.Contains(text, "CAP_BPF and CAP_PERFMON") ||
		strings.Count(text, "\n") > 2 {
		t.Errorf("what is missing is not said in a sentence:\n%s", text)
	}
}

// Without privilege a process of one's own is looked at all the same.
func TestLevelProcessIsEnoughForTheVerdicts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, or ptrace_scope 0, to look at another process")
	}
	server := staged(t)
	status, out, log := sluicetop(t, "top", "-p", strconv.Itoa(server.PID), "-level", "process",
		"-n", "1", "-interval", "1s")
	if status != 0 {
		t.Fatalf("exits with %d: %s", status, log)
	}
	for _, want := range []string{"level process", "peer ", "app ", "sndbuf "} {
		if !strings.Contains(out, want) {
			t.Errorf("has no %q:\n%s", want, out)
		}
	}
}
