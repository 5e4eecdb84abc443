package contest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Command is the hidden sub-command that makes a process a server.
const Command = "serve-as"

// pageFD is where a server process finds its page.
const pageFD = 3

// answer is what a server process says: a Hello first, then one line for each
// line that it is asked.
type answer struct {
	Hello
	Mallocs    uint64 `json:"mallocs,omitempty"`
	Heap       uint64 `json:"heap,omitempty"`
	GOMAXPROCS int    `json:"gomaxprocs,omitempty"`
	Worked     int64  `json:"worked,omitempty"`
	Error      string `json:"error,omitempty"`
}

// What a server process can be asked.
const (
	askMallocs = "mallocs" // heap allocations since the start
	askTrim    = "trim"    // collect garbage, give free memory back, say how much is used
	askWork    = "work "   // and a time: Hello.Work
)

// Child is the whole of a server process; args are what followed Command. It
// ends when its standard input does, and returns the process's exit status.
func Child(servers []Server, args []string) int {
	out := json.NewEncoder(os.Stdout)
	fail := func(err error) int {
		out.Encode(answer{Error: err.Error()})
		return 1
	}
	if len(args) != 4 {
		return fail(fmt.Errorf("contest: %s needs a server, a mode, a target and a size", Command))
	}
	i := slices.IndexFunc(servers, func(s Server) bool { return s.Name() == args[0] })
	if i < 0 {
		return fail(fmt.Errorf("contest: there is no server %q", args[0]))
	}
	mode := Mode(args[1])
	if err := mode.Valid(); err != nil {
		return fail(err)
	}
	size, err := strconv.Atoi(args[3])
	if err != nil {
		return fail(err)
	}
	page, err := mapPage(pageFD)
	if err != nil {
		return fail(err)
	}
	task := Task{Mode: mode, Page: page, Target: args[2], Size: size}
	hello, failed := make(chan Hello, 1), make(chan error, 1)
	go func() {
		defer close(hello)
		err := servers[i].Serve(task, func(h Hello) { hello <- h })
		if err == nil {
			err = errors.New("contest: the server ended")
		}
		failed <- err
	}()
	h, listens := <-hello // also of a server that has failed since
	if !listens {
		return fail(<-failed)
	}
	out.Encode(answer{Hello: h, GOMAXPROCS: runtime.GOMAXPROCS(0)})
	go func() {
		fmt.Fprintln(os.Stderr, <-failed)
		os.Exit(1)
	}()
	obey(os.Stdin, out, h.Work)
	return 0
}

// obey answers what it is asked until the end of the input.
func obey(in io.Reader, out *json.Encoder, work func(time.Duration) int64) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var a answer
		length, ask := strings.CutPrefix(lines.Text(), askWork)
		d, err := time.ParseDuration(length)
		switch {
		case ask && err == nil && work != nil:
			a.Worked = work(d)
		case lines.Text() == askMallocs:
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			a.Mallocs = m.Mallocs
		case lines.Text() == askTrim:
			debug.FreeOSMemory()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			a.Heap = m.HeapAlloc
		default:
			a.Error = fmt.Sprintf("contest: what is %q?", lines.Text())
		}
		out.Encode(a)
	}
}
