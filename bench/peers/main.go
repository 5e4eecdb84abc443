// Command peers is the servers of other Go libraries that the benchmark compares
// with when it is asked to: go run ./bench -peers. It is a module of its own, so
// that nobody who uses this library downloads them, and is not for people to run.
package main

import (
	"fmt"
	"os"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// servers are the contestants, each with the options that its documents recommend.
var servers = []contest.Server{gnetServer{}, netpollServer{}, nbioServer{}}

func main() {
	if len(os.Args) < 2 || os.Args[1] != contest.Command {
		fmt.Fprintln(os.Stderr, "peers: run by the benchmark: go run ./bench -peers")
		os.Exit(2)
	}
	os.Exit(contest.Child(servers, os.Args[2:]))
}
