package page

import (
	"testing"
	"time"

	"github.com/sluice-net/sluice/transport/flowpage"
)

// BenchmarkMessage is all that is published of a message that is received and echoed.
func BenchmarkMessage(b *testing.B) {
	p, s := benchPage(b)
	for b.Loop() {
		s.Read(64)
		s.Wrote(64)
		s.SetBuffered(64)
		p.Sending(s, 64)
		p.Sent(s)
		s.SetBuffered(0)
	}
}

// BenchmarkRound is all that is published of a round in which the loop sleeps and sends,
// with the two looks at the clock that it would not take without a page.
func BenchmarkRound(b *testing.B) {
	p, _ := benchPage(b)
	start := time.Now()
	for b.Loop() {
		p.Tick(time.Since(start))
		p.Turn(1)
		p.Sleep(2)
		p.Wake(time.Since(start))
	}
}

func benchPage(b *testing.B) (*Page, *Slot) {
	p, err := New(simulated)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := p.Close(); err != nil {
			b.Error(err)
		}
	})
	return p, p.Add(Identity{Kind: flowpage.KindTCP})
}
