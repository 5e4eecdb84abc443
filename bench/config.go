package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-net/sluice/bench/internal/result"
	"github.com/sluice-net/sluice/bench/internal/rounds"
)

// A config is what the command line asks for.
type config struct {
	engines  []string // contestants by name; the first is the base
	named    bool     // the command line named them: one that is missing is a failure
	conns    []int    // nil: the default of each workload
	sizes    []int
	rate     float64
	idle     int
	fanOut   []int
	others   []other
	time     time.Duration
	slice    time.Duration
	workload *regexp.Regexp
	views    []result.View
	smoke    bool
	peers    bool
	all      bool
	partly   bool          // the second view is only of what is worth it there
	many     int           // 0: the default
	steady   time.Duration // a turn at a steady workload
	epoll    bool          // the load does without io_uring
	overhead bool          // what tracing costs, instead of servers
	isolate  bool
	json     string
	compare  string
	output   string
}

const (
	defaultTime  = 85 * time.Second
	defaultSlice = 100 * time.Millisecond
	steadySlice  = time.Second
	smokeSlice   = 20 * time.Millisecond
	smokeSteady  = 50 * time.Millisecond
	smokeIdle    = 500
	smokeMany    = 500
	smokeFanOut  = 200
	connsMax     = 1 << 20
	sizeMax      = 64 << 20
)

const usage = `Usage: go run ./bench [flags]

Compares the echo server on io_uring and on epoll with one on package net, each
in a process of its own, over loopback. Contestants take turns in short slices,
and the server's CPU time for a message is compared inside each round; std net
takes part twice, so that the ratio of the two shows the error. It prints a
table and writes a report with charts.

  go run ./bench                                 the most important, in under two minutes
  go run ./bench -all                            everything, against everybody: half an hour
  go run ./bench -view both -time 5m             both views, with narrower intervals
  go run ./bench -workload echo/64/ -json x.json only these; keep the numbers
  go run ./bench -compare x.json                 against an earlier run
  go run ./bench -workload paced -rate 60000     latency at a fixed rate
  go run ./bench -peers -workload ^echo -time 3m with gnet, netpoll and nbio
  go run ./bench -engine uring -other old=/tmp/old  this code against an older build
  go run ./bench -overhead                       what tracing costs the traced

Root, or CAP_SYS_ADMIN and CAP_PERFMON, is not needed, but gives a network of
its own and the system calls for a message.

Flags:
`

// parse reads the command line. names are the contestants that there are.
// flag.ErrHelp means that help was asked for and has been given.
func parse(args, names []string, out io.Writer) (*config, error) {
	c := &config{conns: nil, rate: rounds.DefaultRate, idle: rounds.IdleConns,
		time: defaultTime, slice: defaultSlice, steady: steadySlice,
		views: []result.View{result.Pinned}}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Func("engine", "contestants, separated by commas, of "+strings.Join(names, ", ")+
		"; the first is the base (default all)", c.setEngines(names))
	f.Func("conns", "numbers of connections (default 1,50,1000 for echo, else 50)",
		numbers(&c.conns, connsMax))
	f.Func("size", "bytes of an echo message (default 64,16384)", numbers(&c.sizes, sizeMax))
	f.Func("rate", "messages a second of the paced workload (default 20000)", c.setRate)
	f.Func("idle", "connections of the idle workload, and ten times those of "+
		"idle-tls (default 10000)", c.setIdle)
	f.Func("fan-out", "numbers of connections of the fan-out workload (default 1000,10000)",
		numbers(&c.fanOut, connsMax))
	f.Func("other", "NAME=PROGRAM: another build of this benchmark, whose servers on the same "+
		"engines take part and are compared with these round by round; may be repeated",
		c.addOther)
	f.Func("time", "time of a view, shared by its workloads: 90s, 5m, or seconds "+
		"(default 85s, with -all what 20 rounds take)", duration(&c.time))
	f.Func("slice", "one contestant's turn (default 100ms)", duration(&c.slice))
	f.Func("workload", "only workloads whose name, as in echo/64/50, matches a regular "+
		"expression", c.setWorkload)
	f.Func("view", "pinned (the server on one CPU with GOMAXPROCS=1, the load on another), "+
		"unpinned, or both (default pinned)", c.setView)
	f.BoolVar(&c.peers, "peers", false, "compare with other Go libraries as well: builds "+
		"bench/peers, which downloads them")
	f.BoolVar(&c.all, "all", false, "all workloads with all contestants, and those that are "+
		"worth it in both views; implies -peers")
	f.BoolVar(&c.epoll, "epoll-load", false, "make the load without io_uring")
	f.BoolVar(&c.overhead, "overhead", false, "measure what tracing costs the traced instead: "+
		"see docs/tracing.md")
	f.BoolVar(&c.smoke, "smoke", false, "a few seconds: does everything work?")
	f.BoolVar(&c.isolate, "netns", true, "use a network namespace of our own, where permitted")
	f.StringVar(&c.json, "json", "", "write the numbers to this file; - for standard output")
	f.StringVar(&c.compare, "compare", "", "compare with the numbers in this file")
	f.StringVar(&c.output, "o", "bench-report.html",
		"write the report to this file; empty for none")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(out, usage)
			f.SetOutput(out)
			f.PrintDefaults()
		}
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("%q is no flag; there are no other arguments", f.Arg(0))
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	c.settle(names, given)
	return c, nil
}

// settle fills in what depends on several flags.
func (c *config) settle(names []string, given map[string]bool) {
	c.named = given["engine"]
	if !c.named {
		c.engines = names
	}
	if c.all {
		c.peers = c.peers || !c.named
		if !given["time"] {
			c.time = 0
		}
		if !given["view"] {
			c.views = []result.View{result.Pinned, result.Unpinned}
			c.partly = true
		}
	}
	if !c.smoke {
		return
	}
	if !given["time"] {
		c.time = 0
	}
	if !given["slice"] {
		c.slice = smokeSlice
	}
	c.steady, c.many = smokeSteady, smokeMany
	if !given["idle"] {
		c.idle = smokeIdle
	}
	if !given["fan-out"] {
		c.fanOut = []int{smokeFanOut}
	}
}

func (c *config) setEngines(names []string) func(string) error {
	return func(text string) error {
		for name := range strings.SplitSeq(text, ",") {
			name = strings.TrimSpace(name)
			if !slices.Contains(names, name) {
				return fmt.Errorf("there is no contestant %q: choose of %s",
					name, strings.Join(names, ", "))
			}
			if slices.Contains(c.engines, name) {
				return fmt.Errorf("%s is there twice", name)
			}
			c.engines = append(c.engines, name)
		}
		// std net is the base wherever it takes part.
		if i := slices.Index(c.engines, names[0]); i > 0 {
			c.engines = slices.Insert(slices.Delete(c.engines, i, i+1), 0, names[0])
		}
		return nil
	}
}

func (c *config) setRate(text string) error {
	rate, err := strconv.ParseFloat(text, 64)
	if err != nil || !(rate > 0 && rate <= 1e9) {
		return errors.New("must be a number of messages a second above 0")
	}
	c.rate = rate
	return nil
}

func (c *config) setIdle(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > connsMax {
		return fmt.Errorf("must be a number from 1 to %d", connsMax)
	}
	c.idle = n
	return nil
}

func (c *config) setWorkload(text string) (err error) {
	c.workload, err = regexp.Compile(text)
	return err
}

func (c *config) setView(text string) error {
	switch view := result.View(text); {
	case text == "both":
		c.views = []result.View{result.Pinned, result.Unpinned}
	case view == result.Pinned || view == result.Unpinned:
		c.views = []result.View{view}
	default:
		return errors.New("must be pinned, unpinned or both")
	}
	return nil
}

// numbers reads a list of numbers from 1 to limit.
func numbers(to *[]int, limit int) func(string) error {
	return func(text string) error {
		for part := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(part))
			if err != nil || n < 1 || n > limit {
				return fmt.Errorf("%q must be a number from 1 to %d", part, limit)
			}
			*to = append(*to, n)
		}
		return nil
	}
}

// duration reads a time above 0, in Go's notation or in seconds.
func duration(to *time.Duration) func(string) error {
	return func(text string) error {
		d, err := time.ParseDuration(text)
		if seconds, e := strconv.ParseFloat(text, 64); e == nil {
			d, err = time.Duration(seconds*float64(time.Second)), nil
		}
		if err != nil || d <= 0 || d > 24*time.Hour {
			return errors.New("must be a time above 0, such as 90s, 5m or 2.5")
		}
		*to = d
		return nil
	}
}

// chosen returns the workloads that the command line asks for.
func (c *config) chosen() ([]rounds.Workload, error) {
	all := rounds.Workloads(rounds.Choice{Conns: c.conns, Sizes: c.sizes, FanOut: c.fanOut,
		Rate: c.rate, Idle: c.idle, All: c.all, Many: c.many})
	if c.workload == nil {
		return all, nil
	}
	var out, names = []rounds.Workload(nil), []string(nil)
	for _, w := range all {
		names = append(names, w.Name)
		if c.workload.MatchString(w.Name) {
			out = append(out, w)
		}
	}
	if out == nil {
		return nil, fmt.Errorf("-workload %s matches none of %s",
			c.workload, strings.Join(names, " "))
	}
	return out, nil
}
