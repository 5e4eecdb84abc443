package outside

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/bench/internal/leaktest"
	"github.com/sluice-net/sluice/bench/internal/load"
)

var servers = []contest.Server{CEpoll, CUring, HAProxy{}, HAProxy{Splice: true}}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == contest.Command {
		os.Exit(contest.Child(servers, os.Args[2:]))
	}
	leaktest.Main(m)
}

// launch runs a server and makes a verified slice of load.
func launch(t *testing.T, name string, mode contest.Mode, opts load.Options) {
	t.Helper()
	runtime.LockOSThread()
	target := ""
	if opts.Kind == load.Relay {
		b, err := load.Listen()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		opts.Backend, target = b, b.Addr()
	}
	p, err := contest.Start(contest.Spec{Server: name, Mode: mode, Target: target,
		Size: opts.Size, CPU: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	if !p.Foreign() || p.Note == "" {
		t.Errorf("hello %+v", p.Hello)
	}
	opts.Sleep, opts.Conns, opts.Received = true, 3, p.Page.Received.Load
	pool, err := load.Dial(p.Addr, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	before, err := p.CPU()
	if err != nil {
		t.Fatal(err)
	}
	out, err := pool.Run(load.Slice{Time: 10 * time.Millisecond, Verify: true})
	if err != nil || out.Messages == 0 {
		t.Fatalf("%+v, %v", out, err)
	}
	if after, err := p.CPU(); err != nil || after <= before {
		t.Errorf("CPU time %v after %v, %v", after, before, err)
	}
}

func TestC(t *testing.T) {
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("needs a C compiler")
	}
	remove, err := BuildC(CEpoll, CUring)
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	for _, c := range []C{CEpoll, CUring} {
		for _, work := range []struct {
			mode contest.Mode
			opts load.Options
		}{
			{contest.Echo, load.Options{Size: 64, Depth: 16}},
			{contest.Echo, load.Options{Size: 3 << 20, Depth: 2}},
			{contest.Echo, load.Options{Kind: load.Churn, Size: 64}},
			{contest.EchoUnix, load.Options{Size: 300_000, Depth: 1}},
			{contest.Receive, load.Options{Kind: load.Upload}},
			{contest.Send, load.Options{Kind: load.Download, Size: contest.BlockSize}},
			{contest.SendFile, load.Options{Kind: load.Download, Size: contest.FileMax}},
			{contest.FanOut, load.Options{Kind: load.FanOut, Size: 64}},
			{contest.FanOut, load.Options{Kind: load.FanOut, Size: 200_000}},
			{contest.Datagrams, load.Options{Size: 512, Depth: 4, Datagrams: true}},
			{contest.HTTP, load.Options{Kind: load.HTTP}},
			{contest.Relay, load.Options{Kind: load.Relay, Size: contest.BlockSize}},
		} {
			if c.Serves(work.mode) {
				name := fmt.Sprint(c.Name(), " ", work.mode, " ", work.opts.Size)
				t.Run(name, func(t *testing.T) { launch(t, c.Name(), work.mode, work.opts) })
			}
		}
	}
}

func TestHAProxy(t *testing.T) {
	if _, err := exec.LookPath("haproxy"); err != nil {
		t.Skip("needs haproxy")
	}
	for _, name := range []string{HAProxyName, HAProxySpliceName} {
		t.Run(name, func(t *testing.T) {
			launch(t, name, contest.Relay, load.Options{Kind: load.Relay, Size: contest.BlockSize})
		})
	}
}

func TestWhatIsNotInstalledIsUnavailable(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	runtime.LockOSThread()
	for name, want := range map[string]string{"c-epoll": "no C compiler",
		HAProxyName: "HAProxy is not installed"} {
		_, err := contest.Start(contest.Spec{Server: name, Mode: contest.SendFile, CPU: -1})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

func TestAProgramThatEndsSaysWhy(t *testing.T) {
	err := make(chan error, 1)
	go func() {
		cmd := exec.Command("/bin/sh", "-c", "echo no luck >&2; exit 3")
		err <- serve(cmd, func(*program) (contest.Hello, error) { return contest.Hello{}, nil },
			func(contest.Hello) {})
	}()
	if got := <-err; got == nil || !strings.Contains(got.Error(), "no luck") {
		t.Errorf("serve returned %v", got)
	}
}
