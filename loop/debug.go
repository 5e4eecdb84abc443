package loop

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"strings"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/tlsio"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// originDepth is how many frames of a creation stack are kept, as in asyncio.
const originDepth = 10

// An origin is the place in the program where a handle or a transport was made.
type origin struct {
	frames [originDepth]uintptr
	count  int
	by     *origin // the callback that did it; its own by is dropped
}

// origin returns the stack of its caller's caller, or nil if debug mode is off. It may be
// called from any goroutine.
func (l *Loop) origin() *origin {
	if !l.debug.Load() {
		return nil
	}
	o := &origin{}
	o.count = runtime.Callers(3, o.frames[:])
	return o
}

// originHere is origin on the loop's goroutine. The stack says little there, so
// originHere adds the place where the running callback was scheduled.
func (l *Loop) originHere() *origin {
	o := l.origin()
	if o == nil {
		return o
	}
	if h, ok := l.watchdog.Outermost().(*scheduled); ok && h.made != nil {
		o.by = &origin{frames: h.made.frames, count: h.made.count}
	}
	return o
}

// String returns the stack, two lines for each frame, the innermost first.
func (o *origin) String() string {
	if o == nil {
		return ""
	}
	var b strings.Builder
	for frames, more := runtime.CallersFrames(o.frames[:o.count]), true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
	}
	if o.by != nil {
		b.WriteString("scheduled by\n" + o.by.String())
	}
	return b.String()
}

// noteNew logs a new transport in debug mode and records where it, or its server, was
// created.
func (l *Loop) noteNew(s fdio.Transport, made *origin) {
	if !l.debug.Load() {
		return
	}
	l.remember(s.FD(), made)
	event := "connected"
	if _, server := s.Owner().(*clients); server {
		event = "got a new connection"
	}
	(*host)(l).Note(event, s, "peer", transport.PeerName(s), "protocol", nameOf(s.Protocol()))
}

// noteNewDatagram is noteNew for a datagram endpoint.
func (l *Loop) noteNewDatagram(d *fdio.Datagram, made *origin) {
	if !l.debug.Load() {
		return
	}
	l.remember(d.FD(), made)
	(*host)(l).Note("datagram endpoint created", d, "sockname", transport.SockName(d),
		"peer", transport.PeerName(d), "protocol", nameOf(d.Protocol()))
}

// remember records where the transport of a descriptor was made.
func (l *Loop) remember(fd int, made *origin) {
	if l.origins == nil {
		l.origins = make(map[int]*origin)
	}
	l.origins[fd] = made
}

// warnUnclosed reports, in debug mode, the transports that are still open when a loop is
// closed.
func (l *Loop) warnUnclosed() {
	if !l.debug.Load() {
		return
	}
	for s := range l.open.Transports() {
		l.logger().Warn("unclosed transport", "transport", fmt.Sprint(s),
			"created", l.origins[s.FD()].String())
	}
}

// originOf returns the stack at which the handle or transport of e was made, or "" if
// that is not known.
func (l *Loop) originOf(e Exception) string {
	if e.Handle != nil {
		return e.Handle.made.String()
	}
	t := e.Transport
	for over, ok := t.(*tlsio.Transport); ok; over, ok = t.(*tlsio.Transport) {
		t = over.Underlying()
	}
	if t, ok := t.(interface{ FD() int }); ok {
		return l.origins[t.FD()].String()
	}
	return ""
}

// nameOf returns a name for what a callback belongs to; a protocol is named by its type.
func nameOf(of any) string {
	switch of := of.(type) {
	case *scheduled:
		return functionName(of.f)
	case fdio.Task:
		return fmt.Sprint(of)
	case transport.BaseProtocol:
		if p, ok := protocol.AsBuffered(of); ok {
			return fmt.Sprintf("%T", p)
		}
	}
	return fmt.Sprintf("%T", of)
}

// functionName returns the name of a function.
func functionName(f func()) string {
	if fn := runtime.FuncForPC(reflect.ValueOf(f).Pointer()); fn != nil {
		return fn.Name()
	}
	return "a function"
}

// Slow implements watchdog.Host: it reports a slow callback.
func (h *host) Slow(callback string, of any, took time.Duration, stack string) {
	l := h.loop()
	l.traceSlow(took)
	name := nameOf(of)
	if callback != "" {
		name = callback + " of " + name
	}
	attrs := []any{"callback", name, "duration", took}
	if stack != "" {
		attrs = append(attrs, "stack", stack)
	}
	l.logger().Warn(fmt.Sprintf("Executing %s took %.3f seconds", name, took.Seconds()),
		attrs...)
}

// NoteLookup implements resolve.Host: in debug mode it logs a lookup, at a higher level
// if it was slow.
func (h *host) NoteLookup(names []string, took time.Duration) {
	l := h.loop()
	if !l.debug.Load() {
		return
	}
	level := slog.LevelDebug
	if took >= l.SlowCallbackDuration {
		level = slog.LevelInfo
	}
	l.logger().Log(context.Background(), level, "resolved", "names", names, "duration", took)
}
