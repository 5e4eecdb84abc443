package procs

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"
)

// process is the reserve of this process. Changing GOMAXPROCS waits for the end of a garbage
// collection, so a loop never waits for mu.
var process = struct {
	mu sync.Mutex
	reserve
}{reserve: reserve{scheduler: goRuntime{}}}

// A Loop is one of the loops for which the process needs Ps. The zero value is one that has
// not started yet.
//
//	closed --Open--> open --Close--> closed
type Loop struct {
	open   bool
	own    bool // it asked for a P on top of the others
	shared bool // Share was called
}

// Open notes that the loop's goroutine has started. own asks for a P on top of the others
// for it. It may be called from any goroutine, and may take as long as a garbage
// collection.
func (l *Loop) Open(own bool) {
	process.mu.Lock()
	defer process.mu.Unlock()
	l.open, l.own = true, own
	process.count(l, 1)
}

// Share notes that other goroutines wait for the loop and it for them, as with net.Conn.
// It may be called from any goroutine and does not wait.
func (l *Loop) Share() {
	go func() {
		process.mu.Lock()
		defer process.mu.Unlock()
		if l.open && !l.shared {
			process.shared++
			process.adjust()
		}
		l.shared = true
	}()
}

// Close takes back what Open and Share noted. It may be called from any goroutine, and may
// take as long as a garbage collection.
func (l *Loop) Close() {
	process.mu.Lock()
	defer process.mu.Unlock()
	l.open = false
	process.count(l, -1)
}

// count adds l to the loops, or takes it away if by is -1.
func (r *reserve) count(l *Loop, by int) {
	r.loops += by
	if l.own {
		r.own += by
	}
	if l.shared {
		r.shared += by
	}
	r.adjust()
}

// look finds out whether somebody else has changed GOMAXPROCS, and has that dealt with on
// another goroutine.
func look() {
	if !process.mu.TryLock() {
		return // it is being dealt with
	}
	changed := process.changed()
	process.mu.Unlock()
	if changed {
		go func() {
			process.mu.Lock()
			defer process.mu.Unlock()
			process.adjust()
		}()
	}
}

type goRuntime struct{}

func (goRuntime) procs() int     { return runtime.GOMAXPROCS(0) }
func (goRuntime) setProcs(n int) { runtime.GOMAXPROCS(n) }
func (goRuntime) restore()       { runtime.SetDefaultGOMAXPROCS() }

func (goRuntime) fixed(procs int) bool {
	n, err := strconv.Atoi(os.Getenv("GOMAXPROCS"))
	return err == nil && n == procs || updatesAreOff(builtWith(), os.Getenv("GODEBUG"))
}

func (goRuntime) after(d time.Duration, f func()) {
	time.AfterFunc(d, func() {
		process.mu.Lock()
		defer process.mu.Unlock()
		f()
	})
}

// builtWith returns the settings of GODEBUG that the program was built with.
var builtWith = sync.OnceValue(func() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "DefaultGODEBUG" {
				return s.Value
			}
		}
	}
	return ""
})

// updatesAreOff reports whether settings of GODEBUG, of which later ones win, forbid the
// runtime to update GOMAXPROCS.
func updatesAreOff(settings ...string) bool {
	off := false
	for _, list := range settings {
		for s := range strings.SplitSeq(list, ",") {
			if value, ok := strings.CutPrefix(s, "updatemaxprocs="); ok {
				off = value == "0"
			}
		}
	}
	return off
}
