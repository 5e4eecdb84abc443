package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/bench/internal/result"
)

// showEvery is how often the line on a terminal changes at most.
const showEvery = 100 * time.Millisecond

// A progress tells people how far a run is: on a terminal in one line that is
// written over again and again, elsewhere in a line for each workload.
type progress struct {
	out      *os.File
	terminal bool
	began    time.Time
	shown    time.Time
	total    int
	current  int
	title    string
}

func newProgress(out *os.File, total int) *progress {
	_, err := unix.IoctlGetTermios(int(out.Fd()), unix.TCGETS)
	return &progress{out: out, terminal: err == nil, began: time.Now(), total: total}
}

// next says that the next workload begins.
func (p *progress) next(title string, view result.View) {
	p.current++
	p.title = fmt.Sprintf("%s (%s)", title, view)
	if !p.terminal {
		fmt.Fprintln(p.out, p.line(""))
		return
	}
	p.shown = time.Time{}
	p.show("")
}

// show says what is being done for the current workload.
func (p *progress) show(what string) {
	if !p.terminal || time.Since(p.shown) < showEvery {
		return
	}
	p.shown = time.Now()
	fmt.Fprintf(p.out, "\r\x1b[K%s", p.line(what))
}

// line says how far the run is. What is left is estimated from what the
// workloads so far took.
func (p *progress) line(what string) string {
	elapsed := time.Since(p.began)
	line := fmt.Sprintf("[%*d/%d] %s", len(fmt.Sprint(p.total)), p.current, p.total, p.title)
	if what != "" {
		line += ": " + what
	}
	line += "  " + minutes(elapsed)
	if done := p.current - 1; done > 0 {
		line += " of about " + minutes(elapsed*time.Duration(p.total)/time.Duration(done))
	}
	return line
}

// end clears the line.
func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

func minutes(d time.Duration) string {
	seconds := int(d.Round(time.Second).Seconds())
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}
