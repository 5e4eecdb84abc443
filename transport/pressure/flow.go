package pressure

import (
	"time"

	"github.com/sluice-net/sluice/transport/flowpage"
)

// flows reads the flow pages of a process.
type flows struct {
	pid     int
	readers []*flowpage.Reader
	looked  time.Duration // when pages were last looked for
	once    bool
}

// lookAgain is how often to look for loops that were started later.
const lookAgain = 2 * time.Second

// join adds what the loops publish to a snapshot. A process without pages, or whose
// pages may not be read, counts as one without transports.
func (f *flows) join(s *Snapshot) {
	if !f.once || s.Time-f.looked > lookAgain {
		f.find()
		f.once, f.looked = true, s.Time
	}
	byFD := map[int]*Transport{}
	for _, r := range f.readers {
		header, err := r.Header()
		if err != nil || header.Closed {
			continue
		}
		index := len(s.Loops)
		s.Loops = append(s.Loops, loopOf(header, s.Time))
		for slot := range r.Slots() {
			t := transportOf(slot)
			t.Loop = index
			byFD[t.FD] = &t
		}
	}
	attach(s, byFD)
}

func (f *flows) find() {
	found, err := flowpage.Find(f.pid)
	if err != nil {
		return
	}
	f.close()
	f.readers = found
}

func (f *flows) close() {
	for _, r := range f.readers {
		r.Close()
	}
	f.readers = nil
}

// attach assigns each transport to its descriptor, by number and by cookie; by
// number alone, a reused descriptor would get the wrong transport.
func attach(s *Snapshot, byFD map[int]*Transport) {
	of := func(fd int, cookie uint64) *Transport {
		if t := byFD[fd]; t != nil && t.Cookie == cookie {
			return t
		}
		return nil
	}
	for i := range s.Conns {
		s.Conns[i].Transport = of(s.Conns[i].FD, s.Conns[i].Cookie)
	}
	for i := range s.Datagrams {
		s.Datagrams[i].Transport = of(s.Datagrams[i].FD, s.Datagrams[i].Cookie)
	}
	for i := range s.Unix {
		s.Unix[i].Transport = of(s.Unix[i].FD, s.Unix[i].Cookie)
	}
	for i := range s.Pipes {
		s.Pipes[i].Transport = of(s.Pipes[i].FD, s.Pipes[i].Inode)
	}
}

func loopOf(h flowpage.Header, now time.Duration) Loop {
	l := Loop{
		ID: h.Loop, Thread: h.TID, Engine: h.Engine, RingFD: h.RingFD,
		Busy: h.Busy.Total, Waiting: h.Waiting.Total, Turns: h.Turns, Unlisted: h.Unlisted,
	}
	if h.Busy.Running {
		l.TurnStart = now - h.TurnAge
	}
	return l
}

func transportOf(t flowpage.Transport) Transport {
	out := Transport{
		FD: t.FD, Cookie: t.Cookie, Kind: t.Kind.String(), State: t.State.String(),
		Created:  t.Created,
		Buffered: t.Buffered, High: t.High, Low: t.Low,
		WritingPaused: t.WritePaused.Running, WritingPauses: uint64(t.WritePauses),
		WritingPausedTime: t.WritePaused.Total,
		Sending:           t.InFlight, SendingTime: t.Sending.Total, Written: t.BytesWritten,
		ReadingPaused: t.ReadPaused.Running, ReadingPauses: uint64(t.ReadPauses),
		ReadingPausedTime: t.ReadPaused.Total,
		Held:              t.Held, HeldBytes: t.HeldBytes,
		Starved: t.Starved.Running, Starvations: uint64(t.Starves), StarvedTime: t.Starved.Total,
		EOF: t.EOFReceived, Read: t.BytesRead,
	}
	if t.Sending.Running {
		out.SendingFor = t.Sending.For
	}
	return out
}
