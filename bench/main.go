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
	outside.CEpoll,
	outside.CUring,
	outside.HAProxy{},
	outside.HAProxy{Splice: true},
}

// labels are what people read.
var labels = map[string]string{
	netserver.Name: "std net", "uring": "sluice io_uring", "epoll": "sluice epoll",
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
	if slices.Contains(peers, name) {
		return mode == contest.Echo
	}
	i := slices.IndexFunc(servers, func(s contest.Server) bool { return s.Name() == name })
	return i >= 0 && servers[i].Serves(mode)
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
