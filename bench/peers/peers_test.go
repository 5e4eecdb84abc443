package main

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/bench/internal/load"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == contest.Command {
		main()
	}
	os.Exit(m.Run())
}

// Every peer passes on what it gets, whole and in order, and counts connections.
func TestPeersEcho(t *testing.T) {
	for _, s := range servers {
		for _, size := range []int{64, 300_000} {
			t.Run(s.Name(), func(t *testing.T) { echo(t, s.Name(), size) })
		}
	}
}

func echo(t *testing.T, name string, size int) {
	const conns = 5
	runtime.LockOSThread()
	p, err := contest.Start(contest.Spec{Server: name, Mode: contest.Echo, CPU: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	}()
	pool, err := load.Dial(p.Addr, load.Options{
		Conns: conns, Size: size, Depth: 2, Sleep: true})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	out, err := pool.Run(load.Slice{Time: 50 * time.Millisecond, Verify: true})
	if err != nil || out.Messages < 2*conns {
		t.Errorf("%+v, %v", out, err)
	}
	if n := p.Page.Conns.Load(); n != conns {
		t.Errorf("%d connections counted, want %d", n, conns)
	}
}
