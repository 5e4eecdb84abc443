package schedule_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
)

const schedulerEnv = "SLUICE_TEST_SCHEDULER" // the engine and the number of loops

// A loop that sleeps must not lose its P to the runtime's monitor, which would never slow
// down again: with as many loops as Ps each sleep cost up to three switches of threads.
func TestTheMonitorLeavesSleepingLoopsAlone(t *testing.T) {
	for _, c := range []struct{ procs, loops int }{{1, 1}, {2, 2}, {2, 1}, {2, 4}} {
		for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
			t.Run(fmt.Sprintf("%v, %d loops on %d Ps", engine, c.loops, c.procs),
				func(t *testing.T) { sleepInChild(t, engine, c.procs, c.loops) })
		}
	}
}

// sleepInChild runs TestSchedulerChild in a process with that many Ps.
func sleepInChild(t *testing.T, engine loop.Engine, procs, loops int) {
	child := exec.CommandContext(t.Context(), os.Args[0],
		"-test.run=^TestSchedulerChild$", "-test.v", "-test.timeout=60s")
	child.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", procs),
		fmt.Sprintf("%s=%d %d", schedulerEnv, engine, loops), loop.EngineEnv+"=")
	out, err := child.CombinedOutput()
	if strings.Contains(string(out), "needs io_uring") {
		t.Skip("needs io_uring")
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestSchedulerChild") {
		t.Errorf("%v\n%s", err, out)
	}
	t.Log(string(regexp.MustCompile(`.*switches.*`).Find(out)))
}

// TestSchedulerChild is the child of the test above: its loops sleep 2000 times for 200 µs.
func TestSchedulerChild(t *testing.T) {
	var engine loop.Engine
	var n int
	if _, err := fmt.Sscan(os.Getenv(schedulerEnv), &engine, &n); err != nil {
		t.Skip("needs a parent, which runs it")
	}
	const each = 2000
	base := runtime.GOMAXPROCS(0)
	loops, end := startLoops(t, engine, n)
	threads := make(map[int]bool)
	for _, l := range loops {
		looptest.Do(l, func() { threads[syscall.Gettid()] = true })
	}
	if procs := runtime.GOMAXPROCS(0); procs != max(base, n+1) {
		t.Errorf("GOMAXPROCS is %d with %d loops on %d", procs, n, base)
	}
	done := make(chan struct{})
	begun, before := time.Now(), switches(t, threads)
	for _, l := range loops {
		l.CallSoonThreadsafe(sleeper(l, each, done))
	}
	for range loops {
		<-done
	}
	took, n := time.Since(begun), switches(t, threads)-before
	t.Logf("%d switches of other threads in %d sleeps and %v", n, len(loops)*each, took)
	if limit := len(loops)*each/4 + each/4 + int(300*took.Seconds()); n > limit {
		t.Errorf("more than %d", limit)
	}
	end()
	if procs := runtime.GOMAXPROCS(0); procs != base {
		t.Errorf("in the end GOMAXPROCS is %d instead of %d", procs, base)
	}
}

// startLoops runs n loops until end is called, which closes them.
func startLoops(t *testing.T, engine loop.Engine, n int) (loops []*loop.Loop, end func()) {
	ended := make(chan error, n)
	for range n {
		l, err := loop.New(&loop.Options{Engine: engine})
		if err != nil {
			t.Skip("needs io_uring:", err)
		}
		go func() { ended <- l.RunForever() }()
		looptest.Do(l, func() {})
		loops = append(loops, l)
	}
	return loops, func() {
		for _, l := range loops {
			l.Stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		for _, l := range loops {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// sleeper returns a callback that makes l sleep n times, and then reports on done.
func sleeper(l *loop.Loop, n int, done chan<- struct{}) func() {
	var sleep func()
	sleep = func() {
		if n--; n == 0 {
			done <- struct{}{}
			return
		}
		l.CallLater(200*time.Microsecond, sleep)
	}
	return sleep
}

// switches counts how often the threads of this process have gone to sleep, but not those
// of except.
func switches(t *testing.T, except map[int]bool) (n int) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^voluntary_ctxt_switches:\s+(\d+)$`)
	for _, task := range tasks {
		if id, _ := strconv.Atoi(task.Name()); except[id] {
			continue
		}
		text, err := os.ReadFile("/proc/self/task/" + task.Name() + "/status")
		if m := line.FindSubmatch(text); err == nil && m != nil {
			k, _ := strconv.Atoi(string(m[1]))
			n += k
		}
	}
	return n
}
