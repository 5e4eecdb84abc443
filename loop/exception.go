package loop

import (
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/transport"
)

// Exception describes a failure that cannot be returned to any caller, most often a panic
// in a callback. It is passed to the exception handler.
type Exception struct {
	// Message says what happened, in asyncio's words if asyncio knows the case.
	Message string

	// Err is the cause; for a panic, a *protocol.PanicError with its stack.
	Err error

	// Transport and Protocol are the ones concerned, or nil.
	Transport transport.BaseTransport
	Protocol  transport.BaseProtocol

	// Handle is the handle of a function given to CallSoon or CallLater, or nil.
	Handle *Handle
}

// SetExceptionHandler makes the loop call f, on its goroutine, with each exception
// instead of logging it. nil restores logging. A panic in f is logged. It may be called
// from any goroutine.
func (l *Loop) SetExceptionHandler(f func(Exception)) { l.handler.Store(&f) }

// report passes e to the handler.
func (l *Loop) report(e Exception) {
	if l.opts.Repanic {
		panic(e.Err)
	}
	f := l.handler.Load()
	if f == nil || *f == nil {
		l.logException(e)
		return
	}
	defer func() {
		if r := recover(); r != nil {
			l.logger().Error("Unhandled error in exception handler",
				"panic", r, "stack", string(debug.Stack()), "context", e.Message)
			l.logException(e)
		}
	}()
	(*f)(e)
}

func (l *Loop) logException(e Exception) {
	attrs := []any{"err", e.Err}
	if e.Transport != nil {
		attrs = append(attrs, "transport", fmt.Sprint(e.Transport))
	}
	if e.Protocol != nil {
		attrs = append(attrs, "protocol", fmt.Sprintf("%T", e.Protocol))
	}
	if stack := stackOf(e.Err); stack != "" {
		attrs = append(attrs, "stack", stack)
	}
	if created := l.originOf(e); created != "" {
		attrs = append(attrs, "created", created)
	}
	l.logger().Error(e.Message, attrs...)
}

func (l *Loop) logger() *slog.Logger {
	if l.opts.Logger != nil {
		return l.opts.Logger
	}
	return slog.Default()
}

func fromFdio(e fdio.Exception) Exception {
	return Exception{Message: e.Message, Err: e.Err, Transport: e.Transport, Protocol: e.Protocol}
}
