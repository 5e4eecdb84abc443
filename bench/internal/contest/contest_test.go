package contest_test

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/bench/internal/leaktest"
)

// idle is a server that listens on nothing.
type idle struct{}

func (idle) Name() string { return "idle" }

func (idle) Serves(contest.Mode) bool { return true }

func (idle) Serve(task contest.Task, ready func(contest.Hello)) error {
	task.Page.Conns.Add(7)
	ready(contest.Hello{Addr: "127.0.0.1:1", Note: string(task.Mode)})
	select {}
}

// absent is a server that cannot run.
type absent struct{}

func (absent) Name() string { return "absent" }

func (absent) Serves(contest.Mode) bool { return true }

func (absent) Serve(contest.Task, func(contest.Hello)) error {
	return errors.New("the kernel lacks it")
}

// mortal is a server that ends with an error.
type mortal struct{}

func (mortal) Name() string { return "mortal" }

func (mortal) Serves(contest.Mode) bool { return true }

func (mortal) Serve(_ contest.Task, ready func(contest.Hello)) error {
	ready(contest.Hello{})
	return errors.New("out of luck")
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == contest.Command {
		os.Exit(contest.Child([]contest.Server{idle{}, absent{}, mortal{}}, os.Args[2:]))
	}
	leaktest.Main(m)
}

func start(t *testing.T, name string, cpu int) *contest.Process {
	t.Helper()
	p, err := contest.Start(contest.Spec{Server: name, Mode: contest.Echo, CPU: cpu})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAProcessIsKnownFromOutside(t *testing.T) {
	p := start(t, "idle", -1)
	if p.Addr != "127.0.0.1:1" || p.Note != "echo" || p.Page.Conns.Load() != 7 {
		t.Errorf("hello %+v, %d connections on the page", p.Hello, p.Page.Conns.Load())
	}
	before, err := p.CPU()
	if err != nil || before <= 0 {
		t.Errorf("CPU time %v, %v", before, err)
	}
	first, err := p.Mallocs()
	if err != nil || first == 0 {
		t.Errorf("%d mallocs, %v", first, err)
	}
	if second, err := p.Mallocs(); err != nil || second < first || second > first+1000 {
		t.Errorf("%d mallocs after %d, %v", second, first, err)
	}
	f, err := p.Footprint()
	if err != nil || f.RSS < 1<<20 || f.RSS > 1<<30 || f.Heap < 1<<10 || f.Heap > f.RSS {
		t.Errorf("memory of %+v, %v", f, err)
	}
	if after, err := p.CPU(); err != nil || after <= before || after > before+time.Minute {
		t.Errorf("CPU time %v after %v, %v", after, before, err)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

func TestAPinnedProcessHasOneCPU(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	cpu := 0
	for !before.IsSet(cpu) {
		cpu++
	}
	p := start(t, "idle", cpu)
	defer p.Stop()
	if p.GOMAXPROCS != 1 {
		t.Errorf("GOMAXPROCS is %d, want 1", p.GOMAXPROCS)
	}
	var theirs unix.CPUSet
	if err := unix.SchedGetaffinity(p.Pid(), &theirs); err != nil || theirs.Count() != 1 {
		t.Errorf("the process may run on %d CPUs, %v", theirs.Count(), err)
	}
	if err := unix.SchedGetaffinity(0, &after); err != nil || after != before {
		t.Errorf("our own CPUs were %v and are %v, %v", before, after, err)
	}
}

func TestAServerThatCannotRunSaysWhy(t *testing.T) {
	_, err := contest.Start(contest.Spec{Server: "absent", Mode: contest.Echo, CPU: -1})
	if !errors.Is(err, contest.ErrUnavailable) || !strings.Contains(err.Error(), "lacks it") {
		t.Errorf("Start returned %v", err)
	}
}

func TestStartRefuses(t *testing.T) {
	for _, c := range []struct {
		server string
		mode   contest.Mode
		want   string
	}{
		{"nobody", contest.Echo, `no server "nobody"`},
		{"idle", "sing", `"sing" is not a mode`},
	} {
		_, err := contest.Start(contest.Spec{Server: c.server, Mode: c.mode, CPU: -1})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Start(%q, %q) returned %v, want %q", c.server, c.mode, err, c.want)
		}
	}
}

func TestStopSaysWhatAServerDiedOf(t *testing.T) {
	p := start(t, "mortal", -1)
	for { // it answers until it is dead
		if _, err := p.Mallocs(); err != nil {
			break
		}
	}
	if err := p.Stop(); err == nil || !strings.Contains(err.Error(), "out of luck") {
		t.Errorf("Stop returned %v", err)
	}
}

// The servers in C write to the page by these offsets: bench/internal/outside/c/common.h.
func TestThePageIsLaidOutAsInC(t *testing.T) {
	var p contest.Page
	for name, c := range map[string]struct{ got, want uintptr }{
		"Conns": {unsafe.Offsetof(p.Conns), 0}, "Received": {unsafe.Offsetof(p.Received), 72},
		"Verify":     {unsafe.Offsetof(p.Verify), 144},
		"Mismatched": {unsafe.Offsetof(p.Mismatched), 152},
	} {
		if c.got != c.want {
			t.Errorf("%s is at byte %d, in C at %d", name, c.got, c.want)
		}
	}
}

func TestPatternIsOneStream(t *testing.T) {
	whole := append([]byte(nil), contest.Pattern(0, contest.ChunkMax)...)
	for _, c := range []struct{ pos, n int }{{0, 1}, {1, 100}, {4097, 70000}} {
		if string(contest.Pattern(int64(c.pos), c.n)) != string(whole[c.pos:c.pos+c.n]) {
			t.Errorf("Pattern(%d, %d) is not that part of the stream", c.pos, c.n)
		}
	}
	end := int64(contest.Period - 3)
	if got := contest.Pattern(end, 10); string(got[3:]) != string(whole[:7]) {
		t.Error("the pattern does not repeat after its period")
	}
	first, second := contest.Pattern(0, contest.BlockSize), contest.Pattern(contest.BlockSize, 64)
	if string(first[:64]) == string(second) {
		t.Error("two blocks begin alike")
	}
}
