package rounds

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/bench/internal/leaktest"
	"github.com/sluice-net/sluice/bench/internal/load"
	"github.com/sluice-net/sluice/bench/internal/netserver"
	"github.com/sluice-net/sluice/bench/internal/result"
)

// A liar is a server that hands each connection to a function.
type liar struct {
	name  string
	serve func(c net.Conn)
}

func (l liar) Name() string { return l.name }

func (l liar) Serves(contest.Mode) bool { return true }

func (l liar) Serve(task contest.Task, ready func(contest.Hello)) error {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ready(contest.Hello{Addr: listener.Addr().String()})
	for {
		c, err := listener.Accept()
		if err != nil {
			return err
		}
		task.Page.Conns.Add(1)
		go l.serve(c)
	}
}

// A forger takes what comes, but for one byte of the second connection, which it
// changes before it looks.
type forger struct{}

const forgedByte = 300_000

func (forger) Name() string { return "forger" }

func (forger) Serves(mode contest.Mode) bool { return mode == contest.Receive }

func (forger) Serve(task contest.Task, ready func(contest.Hello)) error {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ready(contest.Hello{Addr: listener.Addr().String()})
	for n := 0; ; n++ {
		c, err := listener.Accept()
		if err != nil {
			return err
		}
		task.Page.Conns.Add(1)
		sink := contest.NewSink(task.Page)
		sink.From(c.RemoteAddr())
		go forge(c, sink, n == 1)
	}
}

func forge(c net.Conn, sink *contest.Sink, forges bool) {
	buf := make([]byte, contest.BlockSize)
	for pos := 0; ; {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if at := forgedByte - pos; forges && at >= 0 && at < n {
			buf[at] ^= 1
		}
		pos += n
		sink.Take(buf[:n])
	}
}

var testServers = []contest.Server{
	netserver.Contestant{},
	liar{"spoiler", func(c net.Conn) {
		buf := make([]byte, 64<<10)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			buf[0] ^= 0xff
			c.Write(buf[:n])
		}
	}},
	liar{"quitter", func(c net.Conn) { c.Close() }},
	forger{},
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == contest.Command {
		os.Exit(contest.Child(testServers, os.Args[2:]))
	}
	leaktest.Main(m)
}

func runner(servers ...string) *Runner {
	runtime.LockOSThread() // which ends with the test: the load's ring is the thread's
	r := &Runner{View: result.Unpinned, ServerCPU: -1, Sleep: true, Slice: 5 * time.Millisecond}
	for _, name := range servers {
		r.Contestants = append(r.Contestants,
			Contestant{Key: name, Label: strings.ToUpper(name), Server: name})
	}
	r.Contestants = append(r.Contestants, Contestant{Key: "again", Label: "again", Server: "net"})
	return r
}

// alike are workloads that differ from others by a number only, and those of a million
// timers, which take too long.
var alike = []string{"receive-buffered-bbr/65536/3", "send-bbr/65536/3", "receive-reno/65536/3",
	"receive-buffered-reno/65536/3", "unix/64/3", "http/1", "http/50", "http/500", "timers",
	"timers-queue", "posts"}

func TestEveryWorkload(t *testing.T) {
	for _, w := range Workloads(Choice{Conns: []int{3}, Sizes: []int{64, 5000},
		FanOut: []int{40}, Rate: 1000, Idle: 100, All: true}) {
		if slices.Contains(alike, w.Name) {
			continue
		}
		t.Run(w.Name, func(t *testing.T) {
			said := 0
			r := runner("net")
			if w.Congestion != "" && contest.Isolate() != nil { // the thread ends with the test
				t.Skip("needs a network namespace of its own")
			}
			r.Progress = func(string) { said++ }
			out := r.Run(w)
			if out.Name != w.Name || out.Conns != w.Conns || said == 0 {
				t.Errorf("%+v, progress %d times", out, said)
			}
			for i, row := range out.Rows {
				if row.Missing && w.Congestion != "" {
					continue
				}
				if row.Error != "" {
					t.Fatalf("%s: %s", row.Label, row.Error)
				}
				if w.Idle {
					if row.IdleRSS == nil || row.IdleHeap == nil || *row.IdleHeap <= 0 ||
						len(out.Rows) != 1 {
						t.Errorf("%+v is no memory of one server", out.Rows)
					}
					continue
				}
				checkRow(t, w, row, i == 0)
			}
			if !w.Idle && out.Rounds < roundsMin && !out.Rows[0].Missing {
				t.Errorf("%d rounds", out.Rounds)
			}
		})
	}
}

func checkRow(t *testing.T, w Workload, row result.Row, base bool) {
	t.Helper()
	if row.Messages == 0 || row.PerSecond <= 0 || row.CPUNS <= 0 || row.ServerBusy <= 0 ||
		row.Allocs == nil {
		t.Errorf("%+v has gaps", row)
	}
	if !w.Mode.Works() && (row.MBPerSec <= 0 || row.LoadBusy <= 0 || row.LoadBusy > 1) {
		t.Errorf("%+v has gaps of the load", row)
	}
	if w.timed() != (row.Latency != nil) {
		t.Errorf("latency %v of %s", row.Latency, w.Name)
	}
	if base != (row.Ratio == nil) {
		t.Errorf("ratio %v, base: %v", row.Ratio, base)
	}
}

// pingPong is the first workload, on two connections.
func pingPong() Workload {
	return Workloads(Choice{Conns: []int{2}, Sizes: []int{64}, Rate: 1000, Idle: 10})[0]
}

func TestOneThatFailsDoesNotStopTheOthers(t *testing.T) {
	w := pingPong()
	out := runner("net", "spoiler", "quitter", "nobody").Run(w)
	for i, want := range []string{"", ", byte 0 of what came", "", "no server", ""} {
		row := out.Rows[i]
		switch {
		case row.Contestant == "quitter":
			if row.Error == "" || row.Missing {
				t.Errorf("%+v: closing connections is no failure", row)
			}
		case !strings.Contains(row.Error, want) || (want == "") != (row.Error == ""):
			t.Errorf("%s: error %q, want %q", row.Label, row.Error, want)
		}
		if row.Missing != (row.Contestant == "nobody") {
			t.Errorf("%s: missing is %v", row.Label, row.Missing)
		}
	}
}

// What is uploaded the server compares; the row says where it differed.
func TestWrongBytesOfAnUploadHaveAPlace(t *testing.T) {
	r := runner("forger")
	r.Slice = 200 * time.Millisecond // each connection comes to that byte
	out := r.Run(stream("receive", "receive %s, %s", contest.Receive, load.Upload, 2))
	want := fmt.Sprintf("connection 1, byte %d of", forgedByte)
	if got := out.Rows[0]; !strings.Contains(got.Error, want) || got.Missing {
		t.Errorf("%+v, want an error with %q", got, want)
	}
	if out.Rows[1].Error != "" {
		t.Errorf("%+v", out.Rows[1])
	}
}

func TestPairsAreComparedInEachRound(t *testing.T) {
	r := runner("net", "spoiler")
	r.Pairs = [][2]string{{"again", "net"}, {"again", "spoiler"}, {"net", "nobody"}}
	out := r.Run(pingPong())
	for _, row := range out.Rows {
		if (len(row.Pairs) == 1) != (row.Contestant == "again") || len(row.Pairs) > 1 {
			t.Fatalf("%s has pairs %+v", row.Label, row.Pairs)
		}
	}
	p := out.Row("again").Pairs[0]
	if p.To != "net" || p.Label != "NET" || p.Ratio != *out.Row("again").Ratio {
		t.Errorf("%+v, the ratio to the base is %v", p, out.Row("again").Ratio)
	}
}

func TestWithoutABaseThereIsNoRatio(t *testing.T) {
	w := pingPong()
	out := runner("spoiler").Run(w)
	if out.Rows[0].Error == "" || out.Rows[1].Error != "" || out.Rows[1].Ratio != nil {
		t.Errorf("%+v", out.Rows)
	}
}

func TestWorkloads(t *testing.T) {
	names := func(ws []Workload) (out []string) {
		for _, w := range ws {
			out = append(out, w.Name)
		}
		return out
	}
	for _, c := range []struct {
		name         string
		conns, sizes []int
		want         string
	}{
		{"the default", nil, nil, "echo/64/1 echo/64/50 echo/64/1000 echo/16384/1 echo/16384/50 " +
			"echo/16384/1000 pipelined/64x16/50 receive/65536/50 receive-buffered/65536/50 " +
			"send/65536/50 paced/64/50 udp/512/1 udp/512/32 " +
			"tls/1024/50 sendfile/16384/50 sendfile/1048576/50 tcp-proxy/65536/50 " +
			"fan-out/64/1000 fan-out/1024/1000 fan-out/64/10000 idle/10 idle-tls/1"},
		{"connections hold for all", []int{2, 3}, []int{9}, "echo/9/2 echo/9/3 " +
			"pipelined/64x16/2 receive/65536/2 receive-buffered/65536/2 send/65536/2 paced/64/2 " +
			"pipelined/64x16/3 receive/65536/3 receive-buffered/65536/3 send/65536/3 paced/64/3 " +
			"udp/512/1 udp/512/32 " +
			"tls/1024/2 sendfile/16384/2 sendfile/1048576/2 tcp-proxy/65536/2 " +
			"tls/1024/3 sendfile/16384/3 sendfile/1048576/3 tcp-proxy/65536/3 " +
			"fan-out/64/1000 fan-out/1024/1000 fan-out/64/10000 idle/10 idle-tls/1"},
	} {
		got := strings.Join(names(Workloads(Choice{Conns: c.conns, Sizes: c.sizes,
			Rate: 20000, Idle: 10})), " ")
		if got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestAllWorkloads(t *testing.T) {
	var names, loops, unpinned []string
	for _, w := range Workloads(Choice{Rate: 20000, Idle: 10, All: true}) {
		names = append(names, w.Name)
		if w.Loops {
			loops = append(loops, w.Name)
		}
		if w.Unpinned {
			unpinned = append(unpinned, w.Name)
		}
	}
	for got, want := range map[string]string{
		strings.Join(names, " "): "echo/64/1 echo/64/10 echo/64/50 echo/64/100 echo/64/1000 " +
			"echo/64/10000 echo/16384/1 echo/16384/50 echo/16384/1000 pipelined/64x16/50 " +
			"receive/65536/50 receive-buffered/65536/50 send/65536/50 paced/64/50 udp/512/1 " +
			"udp/512/32 tls/1024/50 sendfile/16384/50 sendfile/1048576/50 tcp-proxy/65536/50 " +
			"fan-out/64/1000 fan-out/1024/1000 fan-out/64/10000 " +
			"receive-bbr/65536/50 receive-buffered-bbr/65536/50 send-bbr/65536/50 " +
			"receive-reno/65536/50 receive-buffered-reno/65536/50 send-reno/65536/50 " +
			"churn/64/50 unix/64/50 unix/16384/50 poisson/512/100 udp/512x4/50 pipes/4096/10 " +
			"http/1 http/8 http/50 http/500 timers timers-queue posts posts-many " +
			"idle/10 idle-tls/10",
		strings.Join(loops, " "): "echo/64/1 echo/64/50 echo/64/1000 poisson/512/100",
		strings.Join(unpinned, " "): "echo/64/1 echo/64/50 echo/64/1000 poisson/512/100 " +
			"http/1 http/8 http/50 http/500",
	} {
		if got != want {
			t.Errorf("\n%s\nwant\n%s", got, want)
		}
	}
}

func TestACongestionControlThatThereIsNot(t *testing.T) {
	r := runner("net")
	w := stream("receive", "receive %s, %s", contest.Receive, load.Upload, 2)
	w.Congestion = "carrier-pigeon"
	for _, row := range r.Run(w).Rows {
		if !row.Missing || !strings.Contains(row.Error, "TCP carrier-pigeon") {
			t.Errorf("%+v, want a row that says what is missing", row)
		}
	}
}

func TestWants(t *testing.T) {
	r := Runner{Contestants: make([]Contestant, 4), Slice: 100 * time.Millisecond,
		Steady: time.Second}
	for _, c := range []struct {
		w    Workload
		want time.Duration
	}{
		{Workload{Kind: load.Echo}, 8 * time.Second},
		{Workload{Kind: load.Upload}, 8800 * time.Millisecond},
		{Workload{Kind: load.Upload, Steady: true}, 37800 * time.Millisecond},
		{Workload{Idle: true}, 0},
	} {
		if got := r.Wants(c.w); got != c.want {
			t.Errorf("%+v wants %v, not %v", c.w, got, c.want)
		}
	}
}

func TestWholeHasAllRounds(t *testing.T) {
	r := runner("net")
	r.Whole, r.Slice = true, time.Millisecond
	if out := r.Run(pingPong()); out.Rounds != roundsAim {
		t.Errorf("%d rounds, want %d", out.Rounds, roundsAim)
	}
}

func TestSizesAreReadable(t *testing.T) {
	for n, want := range map[int]string{
		64: "64 B", 1024: "1 KiB", 1500: "1500 B", 2 << 20: "2 MiB"} {
		if got := bytes(n); got != want {
			t.Errorf("bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestAllowFiles(t *testing.T) {
	if err := AllowFiles(16); err != nil {
		t.Errorf("16 files: %v", err)
	}
	if err := AllowFiles(1 << 40); err == nil || !strings.Contains(err.Error(), "ulimit") {
		t.Errorf("2^40 files: %v, want an error with the remedy", err)
	}
}

func TestWhoDoesNotServeIsLeftOut(t *testing.T) {
	r := runner("net", "spoiler")
	r.Enters = func(server string, w Workload) bool {
		return server == "net" && w.Mode == contest.Echo
	}
	choice := Choice{Conns: []int{1}, Sizes: []int{64}, FanOut: []int{3}, Rate: 1000, Idle: 10}
	for _, w := range Workloads(choice) {
		switch out := r.Run(w); {
		case w.Mode != contest.Echo:
			if out.Rows != nil {
				t.Errorf("%s: %+v", w.Name, out.Rows)
			}
		case len(out.Rows) == 0 || out.Rows[0].Contestant != "net" || out.Rows[0].Error != "":
			t.Errorf("%s: %+v", w.Name, out.Rows)
		}
	}
}

func TestFilesNeeded(t *testing.T) {
	inTable := uint64(50 + 64) // of a ring, which keeps no descriptors
	if load.Uring() != nil {
		inTable = 50*4 + 64
	}
	for _, c := range []struct {
		w     Workload
		epoll bool
		want  uint64
	}{
		{Workload{Conns: 50}, false, 50*4 + 64},
		{Workload{Conns: 50, Kind: load.Relay}, false, 50*8 + 64},
		{Workload{Conns: 50, Idle: true}, false, 50 + 64},
		{Workload{Conns: 50, Kind: load.FanOut}, true, 50*4 + 64},
		{Workload{Conns: 50, Kind: load.FanOut}, false, inTable},
	} {
		r := Runner{Contestants: make([]Contestant, 4), EpollLoad: c.epoll}
		if got := r.FilesNeeded(c.w); got != c.want {
			t.Errorf("%+v: %d files, want %d", c.w, got, c.want)
		}
	}
}
