package loop

import (
	"sync/atomic"
	"time"

	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/tlsio"
	"github.com/sluice-net/sluice/transport"
)

// tlsHost is the loop as the TLS transports see it.
type tlsHost Loop

var _ tlsio.Host = (*tlsHost)(nil)

func (h *tlsHost) loop() *Loop { return (*Loop)(h) }

// Soon implements tlsio.Host.
func (h *tlsHost) Soon(t tlsio.Task) { h.ready = append(h.ready, t) }

// After implements tlsio.Host.
func (h *tlsHost) After(d time.Duration, f func()) tlsio.Timer {
	return h.loop().CallLater(d, f)
}

// Buffer implements tlsio.Host.
func (h *tlsHost) Buffer(n int) []byte { return h.chunks.Get(n) }

// Free implements tlsio.Host.
func (h *tlsHost) Free(b []byte) { h.chunks.Put(b) }

// Poison implements tlsio.Host.
func (h *tlsHost) Poison(b []byte) {
	if debug.On || h.debug.Load() {
		debug.Overwrite(b)
	}
}

// Report implements tlsio.Host.
func (h *tlsHost) Report(message string, err error, t transport.BaseTransport,
	p transport.BaseProtocol) {
	h.loop().report(Exception{Message: message, Err: err, Transport: t, Protocol: p})
}

// Paused implements tlsio.Host.
func (h *tlsHost) Paused(t transport.BaseTransport, size int, l transport.Limits) {
	(*host)(h).Paused(t, size, l)
}

// Resumed implements tlsio.Host.
func (h *tlsHost) Resumed(t transport.BaseTransport, size int, l transport.Limits) {
	(*host)(h).Resumed(t, size, l)
}

// Check implements tlsio.Host.
func (h *tlsHost) Check() { (*host)(h).Check() }

// Debug implements tlsio.Host.
func (h *tlsHost) Debug() *atomic.Bool { return &h.debug }

// Enter implements tlsio.Host.
func (h *tlsHost) Enter(callback string, of any) { (*host)(h).Enter(callback, of) }

// Leave implements tlsio.Host.
func (h *tlsHost) Leave() { (*host)(h).Leave() }

// Note implements tlsio.Host.
func (h *tlsHost) Note(event string, t transport.BaseTransport, attrs ...any) {
	(*host)(h).Note(event, t, attrs...)
}
