package rounds

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/bench/internal/load"
)

// Amounts of the workloads that Choice.All adds.
const (
	poissonSize   = 512
	poissonConns  = 100
	datagramDepth = 4
	churnSize     = 64
	pipesConns    = 10
	pipesSize     = 4 << 10
)

var (
	moreConns = []int{10, 100} // of echo, and Choice.Many
	httpConns = []int{1, 8, 50, 500}
	unixSizes = []int{64, 16 << 10}
	controls  = []string{"bbr", "reno"}
)

// more adds to the workloads of every day those of Choice.All, and says which of them
// all are for several loops and for the view unpinned.
func more(everyDay []Workload, choice Choice) []Workload {
	out := manyEchoes(everyDay, choice)
	conns := choice.Conns
	if conns == nil {
		conns = []int{oneConns}
	}
	for _, n := range conns {
		for _, control := range controls {
			out = append(out, steady(control, n)...)
		}
		out = append(out, churn(n))
		for _, size := range unixSizes {
			out = append(out, echoUnix(size, n))
		}
	}
	out = append(out, poisson(choice.Rate), deepDatagrams(), pipes())
	for _, n := range httpConns {
		out = append(out, http(n))
	}
	out = append(out, withoutConnections()...)
	for i := range out {
		w := &out[i]
		w.Loops = w.Poisson || strings.HasPrefix(w.Name, "echo/") &&
			w.Size == slices.Min(DefaultSizes) && slices.Contains(DefaultConns, w.Conns)
		w.Unpinned = w.Loops || w.Mode == contest.HTTP
	}
	return out
}

// manyEchoes puts echoes of the smallest size on more numbers of connections beside
// those that there are, unless the command line chose the numbers.
func manyEchoes(everyDay []Workload, choice Choice) []Workload {
	out := slices.Clone(everyDay)
	if choice.Conns != nil {
		return out
	}
	size := slices.Min(DefaultSizes)
	if choice.Sizes != nil {
		size = choice.Sizes[0]
	}
	for _, n := range append(slices.Clone(moreConns), cmp.Or(choice.Many, ManyConns)) {
		out = append(out, echoOf(size, n))
	}
	// Echoes come first, by size and number of connections.
	first := slices.IndexFunc(out, func(w Workload) bool {
		return !strings.HasPrefix(w.Name, "echo/")
	})
	added := out[len(everyDay):]
	echoes := slices.Concat(out[:first], added)
	slices.SortStableFunc(echoes, func(a, b Workload) int {
		return cmp.Or(cmp.Compare(a.Size, b.Size), cmp.Compare(a.Conns, b.Conns))
	})
	return slices.Concat(echoes, out[first:len(everyDay)])
}

// steady returns what goes one way, for long enough that a congestion control shows
// what it does.
func steady(control string, conns int) []Workload {
	out := []Workload{
		stream("receive", "receive %s, %s", contest.Receive, load.Upload, conns),
		stream("receive-buffered", "receive %s buffered, %s", contest.ReceiveBuffered,
			load.Upload, conns),
		stream("send", "send %s, %s", contest.Send, load.Download, conns),
	}
	for i := range out {
		w := &out[i]
		w.Steady, w.Congestion = true, control
		kind, rest, _ := strings.Cut(w.Name, "/")
		w.Name = kind + "-" + control + "/" + rest
		w.Title += ", steady, " + control
	}
	return out
}

func churn(conns int) Workload {
	return Workload{
		Name:  fmt.Sprintf("churn/%d/%d", churnSize, conns),
		Title: fmt.Sprintf("connect, echo %s, close, %d at a time", bytes(churnSize), conns),
		Mode:  contest.Echo, Kind: load.Churn, Conns: conns, Size: churnSize}
}

func echoUnix(size, conns int) Workload {
	return Workload{
		Name:  fmt.Sprintf("unix/%d/%d", size, conns),
		Title: fmt.Sprintf("Unix echo %s, %s", bytes(size), connections(conns)),
		Mode:  contest.EchoUnix, Conns: conns, Size: size, Depth: 1}
}

func poisson(rate float64) Workload {
	return Workload{
		Name: fmt.Sprintf("poisson/%d/%d", poissonSize, poissonConns),
		Title: fmt.Sprintf("echo %s at %g/s, Poisson, %s", bytes(poissonSize), rate,
			connections(poissonConns)),
		Mode: contest.Echo, Conns: poissonConns, Size: poissonSize, Depth: 1, Rate: rate,
		Poisson: true}
}

func deepDatagrams() Workload {
	return Workload{
		Name: fmt.Sprintf("udp/%dx%d/%d", datagramSize, datagramDepth, oneConns),
		Title: fmt.Sprintf("UDP echo %s × %d deep, %s", bytes(datagramSize), datagramDepth,
			clients(oneConns)),
		Mode: contest.Datagrams, Conns: oneConns, Size: datagramSize, Depth: datagramDepth}
}

func pipes() Workload {
	return Workload{
		Name: fmt.Sprintf("pipes/%d/%d", pipesSize, pipesConns),
		Title: fmt.Sprintf("echo %s by way of a child's pipes, %s", bytes(pipesSize),
			connections(pipesConns)),
		Mode: contest.Pipes, Conns: pipesConns, Size: pipesSize, Depth: 1}
}

func http(conns int) Workload {
	return Workload{
		Name:  fmt.Sprintf("http/%d", conns),
		Title: fmt.Sprintf("net/http, %s", connections(conns)),
		Mode:  contest.HTTP, Kind: load.HTTP, Conns: conns, Size: len(contest.HTTPAnswer)}
}

func withoutConnections() []Workload {
	return []Workload{
		{Name: "timers", Mode: contest.Timers,
			Title: "add and cancel a timer among a million"},
		{Name: "timers-queue", Mode: contest.TimersQueue,
			Title: "cancel the oldest of a million timers, add the newest"},
		{Name: "posts", Mode: contest.Posts, Title: "post a function to the loop"},
		{Name: "posts-many", Mode: contest.PostsMany,
			Title: fmt.Sprintf("post a function to the loop, %d goroutines", contest.PostersMax)},
	}
}
