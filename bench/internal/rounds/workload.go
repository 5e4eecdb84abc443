// Package rounds lets contestants take turns at workloads, in slices so short
// that what disturbs a machine disturbs all of them alike, and takes the ratio
// of each to the base inside each round.
package rounds

import (
	"fmt"
	"slices"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/bench/internal/load"
)

// A Workload is what contestants are measured by.
type Workload struct {
	Name  string // echo/64/50: what, bytes, connections
	Title string // for people
	Mode  contest.Mode
	Kind  load.Kind
	Conns int
	Size  int
	Depth int
	Rate  float64

	// Poisson is load.Options.Poisson.
	Poisson bool

	// Steady is measured in the middle of long turns: senders that are paced, or wait
	// for a window, take some time to get going.
	Steady bool

	// Congestion is the congestion control that TCP uses; empty: the machine's, or a
	// plain one in a namespace of our own.
	Congestion string

	// Loops has servers with several loops take part.
	Loops bool

	// Unpinned says that it is worth its time in that view as well, where not all are.
	Unpinned bool

	// Idle measures the memory of connections instead of work on them.
	Idle bool
}

// timed reports whether each message has a time of its own.
func (w Workload) timed() bool {
	switch w.Kind {
	case load.Echo, load.FanOut, load.Churn, load.HTTP:
		return !w.Mode.Works()
	}
	return false
}

// oneWay reports whether bytes go one way only: then the load does not look at each
// of them while it measures, lest it be dearer than the server.
func (w Workload) oneWay() bool {
	return w.Kind == load.Upload || w.Kind == load.Download || w.Kind == load.Relay
}

// What the set of workloads is made of, unless the caller says otherwise.
var (
	DefaultConns = []int{1, 50, 1000}
	DefaultSizes = []int{64, 16 << 10}

	// DefaultFanOut is to how many connections a message of the fan-out workload goes.
	DefaultFanOut = []int{1000, 10000}
)

// fileSizes are those of the sendfile workload, in bytes: a page's picture and a
// part of a film.
var fileSizes = []int{16 << 10, contest.FileMax}

// datagramClients are how many UDP sockets have a datagram under way each.
var datagramClients = []int{1, 32}

const (
	oneConns      = 50 // of the workloads that have one number of connections
	pipelineSize  = 64
	pipelineDepth = 16
	pacedSize     = 64
	datagramSize  = 512
	tlsSize       = 1 << 10
	fileDepth     = 2  // files asked for on each connection
	idleTLSPart   = 10 // so many fewer: each makes a handshake
	fanOutSize    = 64
	fanOutLarge   = 1 << 10 // to the fewest connections: what copying it for each costs

	// IdleConns is how many connections the idle workload has.
	IdleConns = 10000

	// ManyConns is how many connections echo has at most, with Choice.All.
	ManyConns = 10000

	// DefaultRate is what the paced workload asks for, messages a second.
	DefaultRate = 20000
)

// A Choice is what can be chosen of a set of workloads.
type Choice struct {
	// Conns and Sizes are the numbers of connections, and of bytes of a message, of
	// ping-pong; nil means the defaults. A list that is given holds for all workloads
	// that have connections or sizes to choose.
	Conns, Sizes []int

	FanOut []int   // numbers of connections of the fan-out workload; nil: the default
	Rate   float64 // messages a second of the paced workload
	Idle   int     // connections of the idle workload

	// All adds what is too much for every day. Many is its largest number of
	// connections; 0 means ManyConns.
	All  bool
	Many int
}

// Workloads returns the set for a choice: ping-pong at each combination, then the
// others.
func Workloads(choice Choice) []Workload {
	out := echoes(choice)
	idleTLS := max(choice.Idle/idleTLSPart, 1)
	if choice.All {
		out = more(out, choice)
		idleTLS = choice.Idle
	}
	return append(out, Workload{
		Name:  fmt.Sprintf("idle/%d", choice.Idle),
		Title: fmt.Sprintf("%d idle connections", choice.Idle),
		Mode:  contest.Echo, Conns: choice.Idle, Size: pacedSize, Depth: 1, Idle: true,
	}, Workload{
		Name:  fmt.Sprintf("idle-tls/%d", idleTLS),
		Title: fmt.Sprintf("%d idle TLS connections", idleTLS),
		Mode:  contest.EchoTLS, Conns: idleTLS, Size: pacedSize, Depth: 1, Idle: true})
}

// echoes returns all workloads but the idle ones.
func echoes(choice Choice) []Workload {
	conns, sizes, rate := choice.Conns, choice.Sizes, choice.Rate
	others := conns
	if conns == nil {
		conns, others = DefaultConns, []int{oneConns}
	}
	if sizes == nil {
		sizes = DefaultSizes
	}
	var out []Workload
	for _, size := range sizes {
		for _, n := range conns {
			out = append(out, echoOf(size, n))
		}
	}
	for _, n := range others {
		out = append(out, Workload{
			Name: fmt.Sprintf("pipelined/%dx%d/%d", pipelineSize, pipelineDepth, n),
			Title: fmt.Sprintf("echo %s × %d deep, %s",
				bytes(pipelineSize), pipelineDepth, connections(n)),
			Mode: contest.Echo, Conns: n, Size: pipelineSize, Depth: pipelineDepth},
			stream("receive", "receive %s, %s", contest.Receive, load.Upload, n),
			stream("receive-buffered", "receive %s buffered, %s",
				contest.ReceiveBuffered, load.Upload, n),
			stream("send", "send %s, %s", contest.Send, load.Download, n),
			Workload{
				Name:  fmt.Sprintf("paced/%d/%d", pacedSize, n),
				Title: fmt.Sprintf("echo %s at %g/s, %s", bytes(pacedSize), rate, connections(n)),
				Mode:  contest.Echo, Conns: n, Size: pacedSize, Depth: 1, Rate: rate})
	}
	for _, n := range datagramClients {
		out = append(out, Workload{
			Name:  fmt.Sprintf("udp/%d/%d", datagramSize, n),
			Title: fmt.Sprintf("UDP echo %s, %s", bytes(datagramSize), clients(n)),
			Mode:  contest.Datagrams, Conns: n, Size: datagramSize, Depth: 1})
	}
	for _, n := range others {
		out = append(out, echoTLS(n))
		for _, size := range fileSizes {
			out = append(out, sendFile(size, n))
		}
		out = append(out, relay(n))
	}
	return append(out, fanOuts(choice.FanOut)...)
}

func echoOf(size, conns int) Workload {
	return Workload{
		Name:  fmt.Sprintf("echo/%d/%d", size, conns),
		Title: fmt.Sprintf("echo %s, %s", bytes(size), connections(conns)),
		Mode:  contest.Echo, Conns: conns, Size: size, Depth: 1}
}

func fanOuts(conns []int) (out []Workload) {
	if conns == nil {
		conns = DefaultFanOut
	}
	for _, n := range conns {
		out = append(out, fanOut(fanOutSize, n))
		if n == slices.Min(conns) {
			out = append(out, fanOut(fanOutLarge, n))
		}
	}
	return out
}

func fanOut(size, conns int) Workload {
	return Workload{
		Name:  fmt.Sprintf("fan-out/%d/%d", size, conns),
		Title: fmt.Sprintf("fan-out %s, %s", bytes(size), connections(conns)),
		Mode:  contest.FanOut, Kind: load.FanOut, Conns: conns, Size: size}
}

func echoTLS(conns int) Workload {
	return Workload{
		Name:  fmt.Sprintf("tls/%d/%d", tlsSize, conns),
		Title: fmt.Sprintf("TLS echo %s, %s", bytes(tlsSize), connections(conns)),
		Mode:  contest.EchoTLS, Conns: conns, Size: tlsSize, Depth: 1}
}

func sendFile(size, conns int) Workload {
	return Workload{
		Name:  fmt.Sprintf("sendfile/%d/%d", size, conns),
		Title: fmt.Sprintf("sendfile %s, %s", bytes(size), connections(conns)),
		Mode:  contest.SendFile, Kind: load.Download, Conns: conns, Size: size,
		Depth: fileDepth}
}

func relay(conns int) Workload {
	return Workload{
		Name:  fmt.Sprintf("tcp-proxy/%d/%d", contest.BlockSize, conns),
		Title: fmt.Sprintf("TCP proxy %s, %s", bytes(contest.BlockSize), connections(conns)),
		Mode:  contest.Relay, Kind: load.Relay, Conns: conns, Size: contest.BlockSize}
}

func stream(name, title string, mode contest.Mode, kind load.Kind, conns int) Workload {
	return Workload{
		Name:  fmt.Sprintf("%s/%d/%d", name, contest.BlockSize, conns),
		Title: fmt.Sprintf(title, bytes(contest.BlockSize), connections(conns)),
		Mode:  mode, Kind: kind, Conns: conns, Size: contest.BlockSize}
}

func connections(n int) string {
	if n == 1 {
		return "1 connection"
	}
	return fmt.Sprintf("%d connections", n)
}

func clients(n int) string {
	if n == 1 {
		return "1 client"
	}
	return fmt.Sprintf("%d clients", n)
}

func bytes(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}
