package main

import (
	"fmt"
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

// Every peer does what it says, whole and in order, and counts connections.
func TestPeersServe(t *testing.T) {
	for _, s := range servers {
		for _, work := range []struct {
			mode contest.Mode
			opts load.Options
		}{
			{contest.Echo, load.Options{Size: 64, Depth: 2}},
			{contest.Echo, load.Options{Size: 300_000, Depth: 2}},
			{contest.EchoUnix, load.Options{Size: 300_000, Depth: 2}},
			{contest.Receive, load.Options{Kind: load.Upload}},
			{contest.Send, load.Options{Kind: load.Download, Size: contest.BlockSize}},
			{contest.Datagrams, load.Options{Size: 512, Depth: 4, Datagrams: true}},
		} {
			if s.Serves(work.mode) {
				name := fmt.Sprint(s.Name(), " ", work.mode, " ", work.opts.Size)
				t.Run(name, func(t *testing.T) { serve(t, s.Name(), work.mode, work.opts) })
			}
		}
	}
}

func serve(t *testing.T, name string, mode contest.Mode, opts load.Options) {
	const conns = 5
	runtime.LockOSThread()
	p, err := contest.Start(contest.Spec{Server: name, Mode: mode, CPU: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	}()
	opts.Conns, opts.Sleep, opts.Received = conns, true, p.Page.Received.Load
	pool, err := load.Dial(p.Addr, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	p.Page.Verify.Store(true)
	out, err := pool.Run(load.Slice{Time: 50 * time.Millisecond, Verify: true})
	if err != nil || out.Messages < conns {
		t.Errorf("%+v, %v", out, err)
	}
	if n := p.Page.Conns.Load(); n != conns && !p.Uncounted {
		t.Errorf("%d connections counted, want %d", n, conns)
	}
	if n := p.Page.Mismatched.Load(); n > 0 {
		t.Errorf("the server found %d mismatches", n)
	}
}
