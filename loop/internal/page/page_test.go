package page

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/transport/flowpage"
)

// newPage makes a page at a time of its loop's clock, and a reader of it.
func newPage(t *testing.T, o Options) (*Page, *flowpage.Reader) {
	t.Helper()
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	r, err := flowpage.Open(os.Getpid(), p.FD())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, r
}

// simulated has a page tell its loop's time, so that sums are exact.
var simulated = Options{Loop: 1, Engine: EngineSim, RingFD: -1}

func slots(t *testing.T, r *flowpage.Reader) []flowpage.Transport {
	t.Helper()
	var out []flowpage.Transport
	for s := range r.Slots() {
		out = append(out, s)
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// running is a span that runs.
func running(total, since time.Duration) flowpage.Span {
	return flowpage.Span{Total: total, Running: true, For: since}
}

// ended is a span that does not run any more.
func ended(total time.Duration) flowpage.Span { return flowpage.Span{Total: total} }

func TestWhatIsPublishedIsRead(t *testing.T) {
	p, r := newPage(t, simulated)
	p.Tick(time.Second)
	s := p.Add(Identity{Kind: flowpage.KindTCP, FD: 7, Cookie: 0x123456789a})
	s.SetState(flowpage.StateOpen)
	s.SetLimits(65536, 16384)
	s.Read(10)
	s.Wrote(100)
	s.SetBuffered(100)
	s.EOFReceived()
	s.EOFWritten()
	s.Hold(2, 300)
	p.Sending(s, 90)
	p.PauseWriting(s)
	p.Tick(3 * time.Second)
	p.PauseReading(s)
	p.Starve(s)
	p.Tick(7 * time.Second)
	want := flowpage.Transport{Kind: flowpage.KindTCP, State: flowpage.StateOpen,
		FD: 7, Cookie: 0x123456789a, Generation: 1, Created: time.Second,
		BytesRead: 10, BytesWritten: 100, Buffered: 100,
		High: 65536, Low: 16384, InFlight: 90, Held: 2, HeldBytes: 300,
		EOFReceived: true, EOFWritten: true,
		Sending:     running(6*time.Second, 6*time.Second),
		WritePaused: running(6*time.Second, 6*time.Second),
		ReadPaused:  running(4*time.Second, 4*time.Second),
		Starved:     running(4*time.Second, 4*time.Second),
		WritePauses: 1, ReadPauses: 1, Starves: 1}
	if got := slots(t, r); len(got) != 1 || got[0] != want {
		t.Errorf("read\n%+v, want\n%+v", got, want)
	}
	p.Sent(s)
	s.SetBuffered(10)
	p.ResumeWriting(s)
	p.ResumeReading(s)
	p.Feed(s)
	p.Tick(9 * time.Second)
	p.PauseReading(s)
	p.Tick(10 * time.Second)
	got := slots(t, r)[0]
	if got.Sending != ended(6*time.Second) || got.WritePaused != got.Sending ||
		got.Starved != ended(4*time.Second) || got.InFlight != 0 || got.Buffered != 10 {
		t.Errorf("after the end of everything: %+v", got)
	}
	if want := (running(5*time.Second, time.Second)); got.ReadPaused != want {
		t.Errorf("paused reading again: %+v, want %+v", got.ReadPaused, want)
	}
}

func TestWhatIsRepeatedCountsOnce(t *testing.T) {
	p, r := newPage(t, simulated)
	s := p.Add(Identity{Kind: flowpage.KindUDP})
	p.PauseWriting(s)
	p.PauseReading(s)
	p.Tick(time.Second)
	p.PauseWriting(s)
	p.PauseReading(s)
	p.Tick(2 * time.Second)
	for range 2 {
		p.ResumeWriting(s)
		p.ResumeReading(s)
		p.Tick(5 * time.Second)
	}
	got := slots(t, r)[0]
	if want := ended(2 * time.Second); got.WritePaused != want || got.ReadPaused != want ||
		got.WritePauses != 1 || got.ReadPauses != 1 {
		t.Errorf("%+v", got)
	}
}

func TestHeaderSaysWhatTheLoopDoes(t *testing.T) {
	o := simulated
	o.Loop, o.RingFD = 3, 5
	p, r := newPage(t, o)
	header := func() flowpage.Header {
		t.Helper()
		h, err := r.Header()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := header()
	if h.PID != os.Getpid() || h.TID != 0 || h.Loop != 3 || h.Engine != "sim" ||
		h.RingFD != 5 || h.SlotCount != 0 || h.Closed || h.Busy.Running {
		t.Errorf("a new page: %+v", h)
	}
	p.Run(time.Second, 17)
	p.Turn(2 * time.Second)
	p.Sleep(3 * time.Second)
	p.Tick(5 * time.Second)
	if h := header(); h.TID != 17 || h.Turns != 1 || h.Now != 5*time.Second ||
		h.TurnAge != 3*time.Second || h.Busy != ended(2*time.Second) ||
		h.Waiting != (running(2*time.Second, 2*time.Second)) {
		t.Errorf("asleep: %+v", h)
	}
	p.Wake(6 * time.Second)
	p.Idle(10 * time.Second)
	p.Tick(20 * time.Second)
	if h := header(); h.Busy != ended(6*time.Second) ||
		h.Waiting != ended(3*time.Second) {
		t.Errorf("idle: %+v", h)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if !header().Closed {
		t.Error("a closed page does not say so")
	}
}

func TestASlotIsUsedAgainByAnotherGeneration(t *testing.T) {
	p, r := newPage(t, simulated)
	first := p.Add(Identity{Kind: flowpage.KindUnix, FD: 1, Cookie: 11})
	second := p.Add(Identity{Kind: flowpage.KindPipe, FD: 2, Cookie: 22})
	first.Read(1000)
	p.PauseReading(first)
	p.Remove(first)
	if got := slots(t, r); len(got) != 1 || got[0].Cookie != 22 || got[0].Slot != 1 {
		t.Errorf("after Remove: %+v", got)
	}
	third := p.Add(Identity{Kind: flowpage.KindUnixgram, FD: 1, Cookie: 33})
	got := slots(t, r)
	if third != first || len(got) != 2 || got[0].Cookie != 33 || got[0].BytesRead != 0 ||
		got[0].ReadPaused.Running || got[0].Generation != 3 || got[1].Generation != 1 {
		t.Errorf("used again: %+v", got)
	}
	p.Remove(second)
	p.Remove(third)
	if got := slots(t, r); len(got) != 0 {
		t.Errorf("all are gone: %+v", got)
	}
}

func TestAPageGrowsWhileItIsRead(t *testing.T) {
	p, r := newPage(t, simulated)
	var all []*Slot
	for i := range 3*chunkSlots + 1 {
		s := p.Add(Identity{Kind: flowpage.KindTCP, FD: i, Cookie: uint64(i)})
		all = append(all, s)
		if i%chunkSlots == 0 {
			if got := slots(t, r); len(got) != i+1 || got[i].Cookie != uint64(i) {
				t.Fatalf("%d transports of %d", len(got), i+1)
			}
		}
	}
	for _, s := range all {
		p.Remove(s)
	}
	if h, err := r.Header(); err != nil || h.Used != 0 || h.SlotCount != 3*chunkSlots+1 {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestAFullPageListsNoMore(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	p, r := newPage(t, simulated)
	for range slotsMax {
		if p.Add(Identity{Kind: flowpage.KindTCP}) == nil {
			t.Fatal("full too early")
		}
	}
	s := p.Add(Identity{Kind: flowpage.KindTCP})
	if s != nil {
		t.Fatal("a slot beyond the last one")
	}
	everyMethod(p, s)
	p.Remove(s)
	h, err := r.Header()
	if err != nil || h.Unlisted != 1 || h.Used != slotsMax {
		t.Errorf("%+v, %v", h, err)
	}
}

// everyMethod calls each method that publishes.
func everyMethod(p *Page, s *Slot) {
	s.SetState(flowpage.StateOpen)
	s.SetLimits(2, 1)
	s.Read(1)
	s.Wrote(1)
	s.SetBuffered(0)
	s.Hold(1, 1)
	s.EOFReceived()
	s.EOFWritten()
	p.Sending(s, 1)
	p.Sent(s)
	p.PauseWriting(s)
	p.ResumeWriting(s)
	p.PauseReading(s)
	p.ResumeReading(s)
	p.Starve(s)
	p.Feed(s)
}

func TestNoAllocationToPublish(t *testing.T) {
	p, _ := newPage(t, simulated)
	s := p.Add(Identity{Kind: flowpage.KindTCP})
	if n := testing.AllocsPerRun(100, func() {
		p.Turn(1)
		p.Sleep(2)
		p.Wake(3)
		everyMethod(p, s)
		p.Remove(s)
		s = p.Add(Identity{Kind: flowpage.KindTCP})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFindOpensThePagesOfAProcessInOrder(t *testing.T) {
	o := simulated
	o.Loop = 2
	newPage(t, o)
	newPage(t, simulated)
	readers, err := flowpage.Find(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var loops []int
	for _, r := range readers {
		h, err := r.Header()
		if err != nil {
			t.Error(err)
		}
		loops = append(loops, h.Loop)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(loops) != 2 || loops[0] != 1 || loops[1] != 2 {
		t.Errorf("loops %v, want 1 and 2: the readers' own descriptors are no pages", loops)
	}
}

func TestNobodyElseCanWriteOrShrinkAPage(t *testing.T) {
	p, _ := newPage(t, simulated)
	if err := unix.Ftruncate(p.FD(), 0); err != unix.EPERM {
		t.Errorf("shrink: %v", err)
	}
	if _, err := unix.Pwrite(p.FD(), []byte{1}, 0); err != unix.EPERM {
		t.Errorf("write: %v", err)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(p.FD(), &stat); err != nil || stat.Mode&0o777 != 0o400 {
		t.Errorf("mode %o, %v", stat.Mode, err)
	}
}
