package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/bench/internal/leaktest"
	"github.com/sluice-net/sluice/bench/internal/result"
	"github.com/sluice-net/sluice/bench/internal/rounds"
)

// asMain makes the test's program the benchmark's, for the processes that the
// tests start and for those that these start.
const asMain = "SLUICE_BENCH_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		if os.Getenv(asForger) != "" {
			servers = []contest.Server{forger{}}
		}
		main()
		return
	}
	leaktest.Main(m)
}

// bench runs the benchmark in a process of its own.
func bench(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), asMain+"=1")
	cmd.Dir = t.TempDir()
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err = cmd.Run()
	return out.String(), complaint.String(), err
}

func TestSmoke(t *testing.T) {
	dir := t.TempDir()
	some := "^(echo|fan-out|receive|idle)" // .ci/run measures all of them, with -all
	numbers, page := filepath.Join(dir, "numbers.json"), filepath.Join(dir, "report.html")
	args := []string{"-smoke", "-conns", "2", "-size", "100", "-idle", "50",
		"-fan-out", "20", "-o", page}
	stdout, stderr, err := bench(t, append(args, "-json", numbers, "-workload", some)...)
	if err != nil {
		t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	f, err := result.Read(numbers)
	if err != nil {
		t.Fatal(err)
	}
	engines := map[string]int{}
	for _, w := range f.Workloads {
		for _, r := range w.Rows {
			if r.Messages > 0 {
				engines[r.Contestant]++
			} else if !r.Missing {
				t.Errorf("%s, %s: no message", w.Name, r.Label)
			}
		}
	}
	for _, name := range []string{"net", "net-again", "epoll"} {
		if engines[name] == 0 {
			t.Errorf("%s is in no workload of %v", name, engines)
		}
	}
	if text, err := os.ReadFile(page); err != nil || !bytes.Contains(text, []byte("</html>")) {
		t.Errorf("the report is no page: %v", err)
	}
	if !strings.Contains(stdout, "echo 100 B, 2 connections") ||
		!strings.Contains(stdout, "fan-out 1 KiB, 20 connections") {
		t.Errorf("the table lacks a workload:\n%s", stdout)
	}
	again, stderr, err := bench(t, append(args, "-compare", numbers, "-workload", "^echo")...)
	if err != nil || !strings.Contains(again, "COMPARED") {
		t.Errorf("compare: %v\n%s%s", err, again, stderr)
	}
}

func TestJSONOnStandardOutputIsAlone(t *testing.T) {
	stdout, stderr, err := bench(t, "-smoke", "-conns", "1", "-workload", "^echo/64/",
		"-engine", "net", "-view", "both", "-json", "-", "-o", "")
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	path := filepath.Join(t.TempDir(), "out.json")
	if err := os.WriteFile(path, []byte(stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := result.Read(path); err != nil {
		t.Errorf("%v in\n%s", err, stdout)
	}
	if !strings.Contains(stderr, "CPU ratio") {
		t.Errorf("the table is not on standard error:\n%s", stderr)
	}
}

func TestHelpAndBadFlagsAsAUserSeesThem(t *testing.T) {
	if out, _, err := bench(t, "-h"); err != nil || !strings.Contains(out, "-workload") {
		t.Errorf("-h: %v\n%s", err, out)
	}
	_, complaint, err := bench(t, "-conns", "many")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(complaint, `"many"`) {
		t.Errorf("a bad flag: %v\n%s", err, complaint)
	}
	_, complaint, err = bench(t, "-compare", "missing.json")
	if err == nil || !strings.Contains(complaint, "missing.json") {
		t.Errorf("a missing file: %v\n%s", err, complaint)
	}
}

func parsed(t *testing.T, args ...string) *config {
	t.Helper()
	c, err := parse(args, names(), new(bytes.Buffer))
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return c
}

func TestFlags(t *testing.T) {
	c := parsed(t)
	if !slices.Equal(c.engines, names()) || c.named || c.conns != nil ||
		c.time != defaultTime || c.slice != defaultSlice || c.idle != rounds.IdleConns ||
		!slices.Equal(c.views, []result.View{result.Pinned}) || c.output != "bench-report.html" {
		t.Errorf("without flags: %+v", c)
	}
	c = parsed(t, "-engine", "epoll, net", "-conns", "1,7", "-size", "3", "-time", "2.5",
		"-view", "both", "-slice", "20ms", "-rate", "1e3", "-idle", "5", "-o", "x")
	if !slices.Equal(c.engines, []string{"net", "epoll"}) || !c.named ||
		!slices.Equal(c.conns, []int{1, 7}) || !slices.Equal(c.sizes, []int{3}) ||
		c.time != 2500*time.Millisecond || len(c.views) != 2 || c.slice != 20*time.Millisecond ||
		c.rate != 1000 || c.idle != 5 || c.output != "x" {
		t.Errorf("with flags: %+v", c)
	}
	c = parsed(t, "-smoke")
	if c.time != 0 || c.slice != smokeSlice || c.idle != smokeIdle ||
		!slices.Equal(c.fanOut, []int{smokeFanOut}) {
		t.Errorf("smoke: %+v", c)
	}
	if c = parsed(t, "-time", "3s", "-smoke"); c.time != 3*time.Second {
		t.Errorf("smoke with a time: %v", c.time)
	}
}

func TestBadFlagsNameWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-engine kqueue", `no contestant "kqueue": choose of net, uring, epoll, ` +
			"uring-2, epoll-2, c-epoll, c-uring, haproxy"},
		{"-engine net,net", "twice"},
		{"-conns 0", `"0" must be a number from 1`},
		{"-conns 1,,2", `"" must be a number`},
		{"-size 99999999999", "number from 1 to"},
		{"-time -1s", "such as 90s"},
		{"-time soon", "such as 90s"},
		{"-slice 0", "a time above 0"},
		{"-rate -5", "above 0"},
		{"-rate NaN", "above 0"},
		{"-idle 0", "from 1 to"},
		{"-fan-out 0", "from 1 to"},
		{"-other old", "NAME=PROGRAM"},
		{"-other again=/bin/sh", "NAME=PROGRAM"},
		{"-other old=/no/such/program", "no such file"},
		{"-other old=/etc/passwd", "is no program"},
		{"-other old=/bin/sh -other old=/bin/sh", "twice"},
		{"-workload (", "missing closing )"},
		{"-view sideways", "pinned, unpinned or both"},
		{"-frobnicate", "frobnicate"},
		{"extra", `"extra" is no flag`},
	} {
		_, err := parse(strings.Fields(c.args), names(), new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.args, err, c.want)
		}
	}
	var help bytes.Buffer
	if _, err := parse([]string{"-h"}, names(), &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}

func TestChosenWorkloads(t *testing.T) {
	all, err := parsed(t).chosen()
	if err != nil || len(all) != 22 {
		t.Errorf("%d workloads, %v", len(all), err)
	}
	some, err := parsed(t, "-workload", "^receive").chosen()
	if err != nil || len(some) != 2 {
		t.Errorf("%v, %v", some, err)
	}
	_, err = parsed(t, "-workload", "gopher").chosen()
	if err == nil || !strings.Contains(err.Error(), "echo/64/50") {
		t.Errorf("%v, want an error that lists the names", err)
	}
}

func TestAllIsMore(t *testing.T) {
	everyDay, _ := parsed(t).chosen()
	c := parsed(t, "-all")
	all, err := c.chosen()
	if err != nil || len(all) <= len(everyDay) {
		t.Errorf("%d workloads with -all, %d without, %v", len(all), len(everyDay), err)
	}
	if !c.peers || c.time != 0 || len(c.views) != 2 {
		t.Errorf("%+v", c)
	}
	unpinned := c.seen(result.Unpinned, all)
	if n := len(c.seen(result.Pinned, all)); n != len(all) || len(unpinned) == 0 ||
		len(unpinned) > len(all)/2 {
		t.Errorf("%d of %d workloads pinned, %d unpinned", n, len(all), len(unpinned))
	}
	c = parsed(t, "-all", "-view", "both", "-time", "9s")
	if c.time != 9*time.Second || len(c.seen(result.Unpinned, all)) != len(all) {
		t.Errorf("what the command line says does not hold: %+v", c)
	}
}

func TestWhoEntersWhat(t *testing.T) {
	echo, files := rounds.Workload{Mode: contest.Echo}, rounds.Workload{Mode: contest.SendFile}
	loops := rounds.Workload{Mode: contest.Echo, Loops: true}
	for _, c := range []struct {
		args, name string
		workload   rounds.Workload
		want       bool
	}{
		{"", "net", echo, true},
		{"", "c-epoll", echo, false},
		{"", "c-epoll", files, true},
		{"", "c-uring", files, false},
		{"-all", "c-uring", echo, true},
		{"-engine c-uring", "c-uring", echo, true},
		{"-all", "uring-2", echo, false},
		{"-all", "uring-2", loops, true},
		{"-engine uring-2", "uring-2", echo, true},
		{"-engine uring-2", "uring-2", files, false},
	} {
		cfg := parsed(t, strings.Fields(c.args)...)
		if got := cfg.enters(c.name, c.workload); got != c.want {
			t.Errorf("%s: that %s enters %+v is %v", c.args, c.name, c.workload, got)
		}
	}
}

func TestFanOutIsAskedFor(t *testing.T) {
	c := parsed(t, "-fan-out", "30,20", "-workload", "^fan-out")
	ws, err := c.chosen()
	var names []string
	for _, w := range ws {
		names = append(names, w.Name)
	}
	want := []string{"fan-out/64/30", "fan-out/64/20", "fan-out/1024/20"}
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("%q, %v, want %q", names, err, want)
	}
}

func TestTimeIsSharedByTheWorkloadsThatHaveRounds(t *testing.T) {
	all, _ := parsed(t).chosen()
	wants := func(w rounds.Workload) time.Duration {
		switch {
		case w.Idle:
			return 0
		case w.Conns == 1000:
			return 2 * time.Second
		}
		return time.Second
	}
	// 20 workloads with rounds, of which four have 1000 connections.
	if got := share(240*time.Second, wants, all); got != 10*time.Second {
		t.Errorf("the first gets %v", got)
	}
	if got := share(200*time.Second, wants, all[2:]); got != 18*time.Second+
		181818181*time.Nanosecond {
		t.Errorf("one that wants twice as much gets %v", got)
	}
	if got := share(time.Second, wants, all[len(all)-1:]); got != 0 {
		t.Errorf("one without rounds gets %v", got)
	}
	if got := share(-time.Second, wants, all); got != 0 {
		t.Errorf("when the time is up, each gets %v", got)
	}
}

func TestCommandLineCanBeCopied(t *testing.T) {
	got := commandLine([]string{"-workload", "^(a|b)$", "-o", "", "-json", "it's"})
	want := `go run ./bench -workload '^(a|b)$' -o '' -json 'it'\''s'`
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestTheBaseTakesPartTwice(t *testing.T) {
	var got []string
	for _, c := range contestants([]string{"epoll", "uring"}) {
		got = append(got, c.Key+"="+c.Server)
	}
	want := []string{"epoll=epoll", "epoll-again=epoll", "uring=uring"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestPeersAreMissedWithANote(t *testing.T) {
	t.Chdir(t.TempDir())
	m := newMeasurement(parsed(t, "-peers"))
	m.buildPeers()()
	if m.peers != "" || len(m.notes) != 1 || !strings.Contains(m.notes[0], "bench/peers") {
		t.Errorf("program %q, notes %q", m.peers, m.notes)
	}
	if got := len(m.contestants()); got != len(contestants(names())) {
		t.Errorf("%d contestants", got)
	}
}

func TestPeersTakePart(t *testing.T) {
	m := newMeasurement(parsed(t, "-engine", "net"))
	m.peers = "program"
	got := m.contestants()
	if len(got) != 2+len(peers) || got[2].Program != "program" || got[2].Label != "gnet" {
		t.Errorf("%+v", got)
	}
	if !serves("gnet", contest.Echo) || serves("gnet", contest.Relay) || serves("", contest.Echo) ||
		serves("netpoll", contest.Datagrams) {
		t.Error("a peer serves what it does not, or not what it does")
	}
}

func TestJudge(t *testing.T) {
	good := result.Row{Label: "good", Messages: 1}
	missing := result.Row{Label: "uring", Error: "no io_uring", Missing: true}
	failed := result.Row{Label: "bad", Error: "bytes differ"}
	for _, c := range []struct {
		name  string
		named bool
		rows  []result.Row
		want  string
	}{
		{"all is well", true, []result.Row{good}, ""},
		{"a failure", false, []result.Row{good, failed}, "bytes differ"},
		{"one is missing that nobody named", false, []result.Row{good, missing}, ""},
		{"one is missing that was named", true, []result.Row{good, missing}, "no io_uring"},
		{"all are missing", false, []result.Row{missing}, "no contestant moved"},
	} {
		f := &result.File{Workloads: []result.Workload{{Name: "w", Rows: c.rows}}}
		err := judge(&config{named: c.named}, f)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestProgressWithoutATerminalIsALineForEachWorkload(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := newProgress(w, 12)
	p.next("echo", result.Pinned)
	p.show("round 1")
	p.next("send", result.Pinned)
	p.end()
	w.Close()
	var out bytes.Buffer
	if _, err := out.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	want := "[ 1/12] echo (pinned)  0:00\n[ 2/12] send (pinned)  0:00 of about 0:00\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestProgressLine(t *testing.T) {
	p := &progress{began: time.Now().Add(-30 * time.Second), total: 4, current: 2, title: "echo"}
	if got, want := p.line("round 3"), "[2/4] echo: round 3  0:30 of about 2:00"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
