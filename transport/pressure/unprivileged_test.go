package pressure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const (
	nobody     = 65534
	childEnv   = "SLUICE_PRESSURE_CHILD"
	childOfEnv = "SLUICE_PRESSURE_CHILD_OF"
)

// report is what a child without privileges found out.
type report struct {
	Err   string // of Probe
	Level Level  // of a Tracer
	Conns int
	Error string // of Attach or Snapshot
}

// beChild is the child's main: it traces the process that it is told to.
func beChild() {
	if os.Getenv(childEnv) == "" {
		return
	}
	var r report
	if s := Probe(); s.Err != nil {
		r.Err = s.Err.Error()
	}
	pid, _ := strconv.Atoi(os.Getenv(childOfEnv))
	r.Error = r.trace(pid)
	json.NewEncoder(os.Stdout).Encode(r)
	os.Exit(0)
}

func (r *report) trace(pid int) string {
	own, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err.Error()
	}
	defer own.Close()
	c, err := net.Dial("tcp4", own.Addr().String())
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	tracer, err := Attach(context.Background(), Options{PID: pid, Interval: -1})
	if err != nil {
		return err.Error()
	}
	defer tracer.Close()
	s, err := tracer.Snapshot()
	if err != nil {
		return err.Error()
	}
	r.Level, r.Conns = tracer.Support().Level, len(s.Conns)
	return ""
}

// asNobody runs a copy of this program as uid 65534 with some capabilities.
func asNobody(t *testing.T, pid int, caps ...uintptr) report {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	dir, err := os.MkdirTemp("", "pressure")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "child")
	copyFile(t, "/proc/self/exe", path)
	cmd := exec.Command(path)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), childEnv+"=1", fmt.Sprintf("%s=%d", childOfEnv, pid))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: nobody, Gid: nobody},
		AmbientCaps: caps,
	}
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return r
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestTwoCapabilitiesSuffice(t *testing.T) {
	needBPF(t)
	tcpPair(t)
	r := asNobody(t, os.Getpid(), capBPF, capPerfmon)
	if r.Err != "" || r.Error != "" || r.Conns < 2 {
		t.Errorf("%+v", r)
	}
	if r.Level != LevelSnapshot|LevelEdges {
		t.Errorf("level is %v", r.Level)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	if s := probeOnce(); s.Err != nil && strings.Contains(s.Err.Error(), "needs Linux") {
		t.Skipf("needs %v", s.Err) // Probe names that first
	}
	for _, c := range []struct {
		caps []uintptr
		want string
	}{
		{nil, "eBPF tracing needs CAP_BPF and CAP_PERFMON, which this process lacks: run as root"},
		{[]uintptr{capPerfmon}, "eBPF tracing needs CAP_BPF, which"},
		{[]uintptr{capBPF}, "eBPF tracing needs CAP_PERFMON, which"},
	} {
		r := asNobody(t, 0, c.caps...)
		if !strings.HasPrefix(r.Err, c.want) || strings.Contains(r.Err, "\n") {
			t.Errorf("%v: %q, want %q", c.caps, r.Err, c.want)
		}
		if r.Error != "" || r.Level != LevelProcess || r.Conns != 1 {
			t.Errorf("%v: its own process: %+v", c.caps, r)
		}
	}
}

func TestAnotherUsersProcessIsRefusedInOneSentence(t *testing.T) {
	r := asNobody(t, os.Getpid())
	if !strings.Contains(r.Error, "permission denied") && !strings.Contains(r.Error, "CAP_BPF") {
		t.Errorf("%+v", r)
	}
}

// Even without eBPF the demo server's process can be examined by its own user: the
// verdicts are the same, except where only the ring knows.
func TestProcessLevelGivesTheSameVerdicts(t *testing.T) {
	needTwoPs(t)
	server := stage(t)
	tracer, err := Attach(t.Context(), Options{PID: server.PID, Level: LevelProcess, Interval: -1})
	if err != nil {
		t.Skipf("needs leave to ptrace a child: %v", err)
	}
	defer tracer.Close()
	accounts, _ := settle(t, tracer)
	for name, want := range truth {
		if want.finding == findStarved {
			continue // ENOBUFS is seen through eBPF alone, or on a flow page
		}
		t.Run(name, func(t *testing.T) {
			checkScene(t, server, name, want.send, want.receive, accounts)
		})
	}
}
