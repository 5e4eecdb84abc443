package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
)

// arguments are those of a command: its flags and, in any order with them, names
// of files.
type arguments struct {
	*flag.FlagSet
	files []string
}

func newArguments(name, what string, log io.Writer) *arguments {
	a := &arguments{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	a.SetOutput(log)
	a.Usage = func() {
		fmt.Fprintf(log, "usage: sluicetop %s %s\n\n", name, what)
		a.PrintDefaults()
	}
	return a
}

// parse takes at most limit files.
func (a *arguments) parse(args []string, limit int) error {
	for {
		if err := a.FlagSet.Parse(args); errors.Is(err, flag.ErrHelp) {
			return err
		} else if err != nil {
			return fmt.Errorf("%w: %w", err, errUsage)
		}
		if a.NArg() == 0 {
			break
		}
		a.files, args = append(a.files, a.Arg(0)), a.Args()[1:]
	}
	if len(a.files) > limit {
		return fmt.Errorf("one argument too many: %q: %w", a.files[limit], errUsage)
	}
	return nil
}

// file returns the only file, "" if there is none.
func (a *arguments) file() string {
	if len(a.files) == 0 {
		return ""
	}
	return a.files[0]
}

// looking are the flags of commands that look at a process.
type looking struct {
	pid   int
	level pressure.Level
	box   time.Duration
}

func (l *looking) add(a *arguments) {
	a.IntVar(&l.pid, "p", 0, "the `PID` of the process to look at")
	a.TextVar(&l.level, "level", pressure.LevelDefault,
		"how closely: process, snapshot, edges, flow, ring, funcs, joined by +;\n"+
			"default is the best allowed of snapshot+edges")
	a.DurationVar(&l.box, "box", 10*time.Second,
		"for how long the levels flow, ring and funcs are on, which all of the host pays for")
}

// interval checks the time between two looks.
func checkInterval(d time.Duration) error {
	if d < 10*time.Millisecond {
		return fmt.Errorf("an interval of %v is too short: %w", d, errUsage)
	}
	return nil
}
