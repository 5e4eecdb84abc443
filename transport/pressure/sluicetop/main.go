// Command sluicetop tells which layer holds each connection of a process back:
// the application, the transport's buffer, the ring, the kernel's queues, the
// network or the peer.
//
//	go run ./transport/pressure/sluicetop top -p PID
//
// It looks at any process that has sockets. Of one whose loops publish a flow
// page (loop.Options.FlowPage) it also sees the transports.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `sluicetop tells which layer holds each connection of a process back.

	sluicetop top -p PID                    a live table
	sluicetop record -p PID -o trace.json   a recording, for Perfetto and for the next four
	sluicetop report trace.json             a page with pictures; -diff other.json compares
	sluicetop doctor trace.json | -p PID    what is wrong, and what to do about it
	sluicetop pprof trace.json | -p PID     a profile of waiting, for go tool pprof
	sluicetop metrics -p PID                an endpoint for Prometheus
	sluicetop probes                        what can be traced here, and what is in the way

Each has -h. Without CAP_BPF and CAP_PERFMON it looks at processes of the same user,
and sees less.
`

// A command is one of the above. It writes what was asked for to out and all
// else to log.
type command func(ctx context.Context, args []string, out, log io.Writer) error

var commands = map[string]command{
	"top": top, "record": recordTrace, "report": makeReport, "doctor": doctor,
	"pprof": makeProfile, "metrics": serveMetrics, "probes": listProbes,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// errUsage is wrapped by what is wrong with the arguments.
var errUsage = errors.New("run it with -h for help")

// errFound is returned by doctor -strict: there is something to find.
var errFound = errors.New("something is wrong")

// run returns the status to exit with: 0, 1 where something failed, 2 where the
// arguments are wrong.
func run(ctx context.Context, args []string, out, log io.Writer) int {
	if len(args) == 0 || args[0] == "-h" || args[0] == "-help" || args[0] == "--help" ||
		args[0] == "help" {
		io.WriteString(out, usage)
		return 0
	}
	c := commands[args[0]]
	if c == nil {
		fmt.Fprintf(log, "sluicetop: no command %q\n\n%s", args[0], usage)
		return 2
	}
	err := c(ctx, args[1:], out, log)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errFound):
		return 1
	}
	fmt.Fprintf(log, "sluicetop: %v\n", err)
	if errors.Is(err, errUsage) {
		return 2
	}
	return 1
}
