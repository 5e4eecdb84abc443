// Command bench compares servers: this library on io_uring and on epoll, and
// package net, over loopback, by the CPU time that a message takes them.
//
//	go run ./bench
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/bench/internal/netserver"
	"github.com/sluice-net/sluice/bench/internal/outside"
	"github.com/sluice-net/sluice/bench/internal/rounds"
	"github.com/sluice-net/sluice/loop"
)

// servers are the contestants; the first is the base.
var servers = []contest.Server{
	netserver.Contestant{},
	sluice{name: "uring", engine: loop.Uring},
	sluice{name: "epoll", engine: loop.Epoll},
	sluice{name: "uring-2", engine: loop.Uring, loops: 2},
	sluice{name: "epoll-2", engine: loop.Epoll, loops: 2},
	outside.CEpoll,
	outside.CUring,
	outside.HAProxy{},
	outside.HAProxy{Splice: true},
}

// labels are what people read.
var labels = map[string]string{
	netserver.Name: "std net", "uring": "sluice io_uring", "epoll": "sluice epoll",
	"uring-2": "sluice io_uring, 2 loops", "epoll-2": "sluice epoll, 2 loops",
	"c-epoll": "C epoll", "c-uring": "C io_uring", outside.HAProxyName: "HAProxy",
	outside.HAProxySpliceName: "HAProxy, splicing",
}

func init() {
	// The load is made on the main goroutine: it stays on its thread, whose
	// CPU and whose network namespace are set.
	runtime.LockOSThread()
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == contest.Command {
		runtime.UnlockOSThread()
		os.Exit(contest.Child(servers, os.Args[2:]))
	}
	cfg, err := parse(os.Args[1:], names(), os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\nRun it with -h for help.\n", err)
		os.Exit(2)
	}
	if err := run(cfg); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func names() []string {
	var out []string
	for _, s := range servers {
		out = append(out, s.Name())
	}
	return out
}

// serves reports whether the server called name has a mode.
func serves(name string, mode contest.Mode) bool {
	if modes, ok := peers[name]; ok {
		return slices.Contains(modes, mode)
	}
	i := slices.IndexFunc(servers, func(s contest.Server) bool { return s.Name() == name })
	return i >= 0 && servers[i].Serves(mode)
}

// enters reports whether the server called name takes part in a workload. Those that
// nobody has named do not take part in all that they could, so that there is time for
// the others.
func (c *config) enters(name string, w rounds.Workload) bool {
	switch {
	case !serves(name, w.Mode):
		return false
	case c.named:
		return true
	case name == "uring-2" || name == "epoll-2":
		return w.Loops
	case name == outside.CEpoll.Name() || name == outside.CUring.Name():
		return c.all || w.Mode == contest.SendFile || w.Mode == contest.FanOut
	}
	return true
}

// contestants returns those that were asked for. The base takes part twice.
func contestants(engines []string) []rounds.Contestant {
	var out []rounds.Contestant
	for i, name := range engines {
		out = append(out, rounds.Contestant{Key: name, Label: labels[name], Server: name})
		if i == 0 {
			out = append(out, rounds.Contestant{
				Key: name + "-again", Label: labels[name] + ", again", Server: name})
		}
	}
	return out
}
