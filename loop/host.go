package loop

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/filecopy"
	"github.com/sluice-net/sluice/loop/internal/opener"
	"github.com/sluice-net/sluice/loop/internal/page"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// host is the loop as the transports see it.
type host Loop

var _ fdio.Host = (*host)(nil)

func (h *host) loop() *Loop { return (*Loop)(h) }

// Engine implements fdio.Host.
func (h *host) Engine() proactor.Proactor { return h.engine }

// Soon implements fdio.Host.
func (h *host) Soon(t fdio.Task) { h.ready = append(h.ready, t) }

// Dirty implements fdio.Host.
func (h *host) Dirty(f fdio.Flusher) { h.dirty = append(h.dirty, f) }

// After implements fdio.Host.
func (h *host) After(d time.Duration, f func()) fdio.Timer { return h.loop().CallLater(d, f) }

// Chunks implements fdio.Host.
func (h *host) Chunks() *fdio.ChunkPool { return &h.chunks }

// Pipes implements fdio.Host.
func (h *host) Pipes() *fdio.PipePool {
	if h.pipes.Engine == nil {
		h.pipes.Engine, h.pipes.Max = h.engine, h.opts.RelayPipes
		if h.pipes.Max == 0 {
			h.pipes.Max = relayPipesUsual
		}
	}
	return &h.pipes
}

// Buffer implements tlsio.Host.
func (h *host) Buffer(n int) []byte { return h.chunks.Get(n) }

// Free implements tlsio.Host.
func (h *host) Free(b []byte) { h.chunks.Put(b) }

// Prefetch implements fdio.Host.
func (h *host) Prefetch(from io.ReaderAt, offset int64, n int, done func()) {
	h.loop().offLoop(func() error { return filecopy.ReadAhead(from, offset, n) },
		func(error) { done() }) // sending the file will report what is wrong with it
}

// FlowPage implements fdio.Host.
func (h *host) FlowPage() *page.Page { return h.page }

// Report implements fdio.Host.
func (h *host) Report(e fdio.Exception) { h.loop().report(fromFdio(e)) }

// Fallback implements fdio.Host.
func (h *host) Fallback(feature string, err error) {
	h.loop().traceFallback(feature, err)
}

// Paused implements fdio.Host.
func (h *host) Paused(t transport.BaseTransport, size int, l transport.Limits) {
	h.loop().tracePause(t, size, l)
}

// Resumed implements fdio.Host.
func (h *host) Resumed(t transport.BaseTransport, size int, l transport.Limits) {
	h.loop().traceResume(t, size, l)
}

// Check implements fdio.Host.
func (h *host) Check() {
	if h.debug.Load() {
		h.loop().check()
	}
}

// Debug implements fdio.Host.
func (h *host) Debug() *atomic.Bool { return &h.debug }

// Enter implements fdio.Host.
func (h *host) Enter(callback string, of any) { h.watchdog.Enter(callback, of) }

// Leave implements fdio.Host.
func (h *host) Leave() { h.watchdog.Leave() }

// OffLoop implements filecopy.Host.
func (h *host) OffLoop(f func() error, done func(error)) { h.loop().offLoop(f, done) }

// WhenDone implements filecopy.Host.
func (h *host) WhenDone(ctx context.Context, f func()) (stop func()) {
	return h.loop().whenDone(ctx, f)
}

// Next implements filecopy.Host.
func (h *host) Next(f func()) { h.loop().CallSoon(f) }

// Ending implements opener.Host.
func (h *host) Ending() bool { return h.draining }

// OnDisk implements opener.Host.
func (h *host) OnDisk(path string) bool {
	return path != "" && !opener.IsAbstract(path) && h.kind != sim
}

// BufferSize implements opener.Host.
func (h *host) BufferSize() int { return h.loop().engineConfig().BufferSize }

// Post implements resolve.Host.
func (h *host) Post(f func()) { h.loop().CallSoonThreadsafe(f) }

// Now implements watchdog.Host.
func (h *host) Now() time.Duration { return h.engine.Now() }

// OnLoop implements watchdog.Host.
func (h *host) OnLoop() bool { return h.loop().onLoop() }

// SlowAfter implements watchdog.Host.
func (h *host) SlowAfter() time.Duration { return h.SlowCallbackDuration }

// Note implements fdio.Host.
func (h *host) Note(event string, t transport.BaseTransport, attrs ...any) {
	if log := h.loop().logger(); log.Enabled(context.Background(), slog.LevelDebug) {
		log.Debug(event, append(attrs, "transport", fmt.Sprint(t))...)
	}
}

// Lost implements fdio.Owner for connections without a server.
func (h *host) Lost(t fdio.Transport) {
	h.loop().removeTransport(t.FD())
}
