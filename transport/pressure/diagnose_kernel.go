package pressure

import (
	"fmt"
	"time"
)

// earlier returns, by key, the first state of everything that is in last.
func earlier[T any, K comparable](d *diagnosis, of func(*Snapshot) []T, key func(*T) K,
	now *T) *T {
	for _, s := range d.snapshots {
		list := of(s)
		for i := range list {
			if key(&list[i]) == key(now) {
				return &list[i]
			}
		}
	}
	return now
}

// share returns the fraction of the snapshots that contain it in which something
// holds.
func share[T any, K comparable](d *diagnosis, of func(*Snapshot) []T, key func(*T) K,
	now *T, holds func(*T) bool) float64 {
	seen, held := 0, 0
	for _, s := range d.snapshots {
		list := of(s)
		for i := range list {
			if key(&list[i]) == key(now) {
				seen++
				if holds(&list[i]) {
					held++
				}
			}
		}
	}
	return float64(held) / float64(max(seen, 1))
}

func listenersOf(s *Snapshot) []Listener { return s.Listeners }
func datagramsOf(s *Snapshot) []Datagram { return s.Datagrams }
func pipesOf(s *Snapshot) []Pipe         { return s.Pipes }
func unixOf(s *Snapshot) []Unix          { return s.Unix }
func ringsOf(s *Snapshot) []Ring         { return s.Rings }
func loopsOf(s *Snapshot) []Loop         { return s.Loops }

func (d *diagnosis) listeners() {
	key := func(l *Listener) uint64 { return l.Cookie }
	for i := range d.last.Listeners {
		l := &d.last.Listeners[i]
		dropped := l.Drops - earlier(d, listenersOf, key, l).Drops
		full := share(d, listenersOf, key, l, func(l *Listener) bool {
			return l.Queue > 0 && l.Queue >= l.Backlog
		})
		if dropped == 0 && full == 0 {
			continue
		}
		d.find(Finding{
			Name: findAcceptQueue, Severity: Critical, FD: l.FD, Cookie: l.Cookie,
			Subject: fmt.Sprintf("fd %d listening on %v", l.FD, l.Local),
			Evidence: fmt.Sprintf("%d connections wait, backlog %d, full in %.0f %% of "+
				"snapshots, %d handshakes dropped", l.Queue, l.Backlog, 100*full, dropped),
			Remedy: "accept sooner, or raise ServerOptions.Backlog and net.core.somaxconn",
		})
	}
}

func (d *diagnosis) datagrams() {
	key := func(u *Datagram) uint64 { return u.Cookie }
	for i := range d.last.Datagrams {
		u := &d.last.Datagrams[i]
		dropped := u.Drops - earlier(d, datagramsOf, key, u).Drops
		if dropped == 0 {
			continue
		}
		d.find(Finding{
			Name: findUDPDrops, Severity: Critical, FD: u.FD, Cookie: u.Cookie,
			Subject: fmt.Sprintf("fd %d udp %v", u.FD, u.Local),
			Evidence: fmt.Sprintf("%d datagrams dropped, queue %s of %s", dropped,
				bytesText(u.Rmem), bytesText(u.RcvBuf)),
			Remedy: "read sooner, or raise SO_RCVBUF and net.core.rmem_max",
		})
	}
}

func (d *diagnosis) pipes() {
	key := func(p *Pipe) int { return p.FD }
	for i := range d.last.Pipes {
		p := &d.last.Pipes[i]
		full := share(d, pipesOf, key, p, func(p *Pipe) bool { return p.Used >= p.Size })
		if !p.Writer || full < fullShare || p.Used < p.Size {
			continue
		}
		d.find(Finding{
			Name: findPipeFull, Severity: Warning, FD: p.FD,
			Subject: fmt.Sprintf("fd %d pipe:[%d]", p.FD, p.Inode),
			Evidence: fmt.Sprintf("%d of %d buffers used, full in %.0f %% of snapshots",
				p.Used, p.Size, 100*full),
			Remedy: "the process at the other end does not read fast enough; F_SETPIPE_SZ " +
				"gives it more room, up to /proc/sys/fs/pipe-max-size",
		})
	}
}

func (d *diagnosis) unix() {
	key := func(u *Unix) uint64 { return u.Cookie }
	for i := range d.last.Unix {
		u := &d.last.Unix[i]
		isFull := func(u *Unix) bool { return u.SndBuf > 0 && u.Wmem >= u.SndBuf-u.SndBuf/10 }
		full := share(d, unixOf, key, u, isFull)
		if full < fullShare || !isFull(u) {
			continue
		}
		d.find(Finding{
			Name: findUnixFull, Severity: Warning, FD: u.FD, Cookie: u.Cookie,
			Subject: fmt.Sprintf("fd %d unix %s", u.FD, u.Path),
			Evidence: fmt.Sprintf("%s of %s sent and not read, full in %.0f %% of snapshots",
				bytesText(u.Wmem), bytesText(u.SndBuf), 100*full),
			Remedy: "the peer does not read fast enough: bound what is kept for it",
		})
	}
}

func (d *diagnosis) rings() {
	key := func(r *Ring) int { return r.FD }
	for i := range d.last.Rings {
		r := &d.last.Rings[i]
		before := earlier(d, ringsOf, key, r)
		subject := fmt.Sprintf("fd %d io_uring", r.FD)
		overflows := r.Edges.Overflows - before.Edges.Overflows
		lost := r.Overflow - before.Overflow
		if overflows > 0 || lost > 0 || r.Overflowing {
			d.find(Finding{
				Name: findCQOverflow, Severity: overflowSeverity(lost), FD: r.FD,
				Subject: subject,
				Evidence: fmt.Sprintf("%d completions found the CQ of %d full, %d were lost",
					overflows, r.CQEntries, lost),
				Remedy: "make the completion queue larger (loop.Options.Entries, CQSIZE), or " +
					"take completions more often",
			})
		}
		d.ringRates(subject, r, before)
	}
}

func overflowSeverity(lost uint64) Severity {
	if lost > 0 {
		return Critical
	}
	return Warning
}

// ringRates looks at events that are harmless unless they are frequent.
func (d *diagnosis) ringRates(subject string, r, before *Ring) {
	punts := r.Edges.Punts - before.Edges.Punts
	if punts > 0 {
		severity := Info
		if float64(punts) >= puntsASecond*d.seconds {
			severity = Warning
		}
		d.find(Finding{
			Name: findPunts, Severity: severity, FD: r.FD, Subject: subject,
			Evidence: fmt.Sprintf("%d requests went to worker threads, %.0f a second", punts,
				float64(punts)/d.seconds),
			Remedy: "these could not be done without blocking: files without O_DIRECT, requests " +
				"with IOSQE_ASYNC, kinds that always block; LevelRing shows which opcode is slow",
		})
	}
	starved := r.Edges.NoBuffers - before.Edges.NoBuffers
	if float64(starved) >= starvedASecond*d.seconds {
		d.find(Finding{
			Name: findStarved, Severity: Warning, FD: r.FD, Subject: subject,
			Evidence: fmt.Sprintf("%d receives ended with ENOBUFS, %.0f a second; %s", starved,
				float64(starved)/d.seconds, buffersText(r.Buffers)),
			Remedy: verdicts[CauseBuffers].Remedy,
		})
	}
}

func buffersText(buffers []BufferRing) string {
	text := "no buffer ring"
	for i, b := range buffers {
		if i == 0 {
			text = ""
		} else {
			text += ", "
		}
		text += fmt.Sprintf("group %d has %d of %d", b.Group, b.Available, b.Size)
	}
	return text
}

// process looks at the loops, and at anything that does not concern a single
// connection.
func (d *diagnosis) process() {
	key := func(l *Loop) int { return l.ID }
	for i := range d.last.Loops {
		l := &d.last.Loops[i]
		before := earlier(d, loopsOf, key, l)
		busy, waiting := l.Busy-before.Busy, l.Waiting-before.Waiting
		stuck := d.last.Time - l.TurnStart
		if l.TurnStart == 0 || stuck < stuckFrom ||
			busy.Seconds() < busyFrom*(busy+waiting).Seconds() {
			continue
		}
		d.find(Finding{
			Name: findBusyLoop, Severity: Warning, FD: -1,
			Subject: fmt.Sprintf("loop %d, thread %d", l.ID, l.Thread),
			Evidence: fmt.Sprintf("busy %v of %v, in the same turn for %v",
				busy.Round(time.Millisecond), (busy + waiting).Round(time.Millisecond),
				stuck.Round(time.Millisecond)),
			Remedy: verdicts[CauseLoop].Remedy,
		})
	}
	counts := d.last.Counts.Since(d.first.Counts)
	for _, rule := range countRules {
		n := counts[rule.kind]
		if n == 0 || float64(n) < rule.aSecond*d.seconds {
			continue
		}
		f := rule.finding
		f.FD, f.Subject = -1, "process"
		f.Evidence = fmt.Sprintf("%d in %.1f s", n, d.seconds)
		d.find(f)
	}
}

// countRules are the rules about events for which no connection need be named.
var countRules = []struct {
	kind    EventKind
	aSecond float64
	finding Finding
}{
	{EventMemoryLimit, 0, Finding{
		Name: findMemoryLimit, Severity: Critical,
		Remedy: "the kernel's memory for this protocol is used up: find who keeps so much " +
			"queued (ss -m), or raise net.ipv4.tcp_mem or udp_mem",
	}},
	{EventQueueFull, 0, Finding{
		Name: findReceiveQueue, Severity: Warning,
		Remedy: "read sooner, or raise SO_RCVBUF",
	}},
	{EventResetIn, 10, Finding{
		Name: findResets, Severity: Warning,
		Remedy: "peers give up: look at how long they had to wait",
	}},
}
