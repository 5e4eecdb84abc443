package demo

import (
	"syscall"
	"time"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// writer writes as much as it is let.
type writer struct {
	protocol.Base
	transport transport.Transport
	paused    bool
	sndbuf    int
}

func newWriter() protocol.Protocol      { return &writer{} }
func newSmallWriter() protocol.Protocol { return &writer{sndbuf: 4 << 10} }

var chunk = make([]byte, 16<<10)

func (w *writer) ConnectionMade(t transport.Transport) {
	w.transport = t
	if raw, ok := transport.Socket(t); ok && w.sndbuf > 0 {
		raw.Control(func(fd uintptr) {
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, w.sndbuf)
		})
	}
	w.fill()
}

func (w *writer) PauseWriting() { w.paused = true }

func (w *writer) ResumeWriting() {
	w.paused = false
	w.fill()
}

func (w *writer) fill() {
	for !w.paused {
		if _, err := w.transport.Write(chunk); err != nil {
			return
		}
	}
}

func (w *writer) DataReceived([]byte) {}

// paused takes nothing.
type paused struct{ protocol.Base }

func newPaused() protocol.Protocol { return &paused{} }

func (p *paused) ConnectionMade(t transport.Transport) { t.PauseReading() }
func (p *paused) DataReceived([]byte)                  {}

// echo sends back what it receives.
type echo struct {
	protocol.Base
	transport transport.Transport
}

func newEcho() protocol.Protocol { return &echo{} }

func (e *echo) ConnectionMade(t transport.Transport) { e.transport = t }
func (e *echo) DataReceived(data []byte)             { e.transport.Write(data) }

// busy computes for long on whatever it receives.
type busy struct{ protocol.Base }

func newBusy() protocol.Protocol { return &busy{} }

// busyFor is how long each callback takes.
const busyFor = 50 * time.Millisecond

func (b *busy) DataReceived([]byte) {
	for begun := time.Now(); time.Since(begun) < busyFor; {
	}
}
