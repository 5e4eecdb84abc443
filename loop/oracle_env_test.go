package loop

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sluice-net/sluice/loop/internal/oracletest"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// quietly is for loops whose callbacks panic on purpose.
func quietly(engine Engine) *Options {
	return &Options{Engine: engine, Logger: slog.New(slog.DiscardHandler)}
}

// loopEnv is what kernel and simulation have in common: the loop.
type loopEnv struct {
	loop  *Loop
	ended chan error // RunForever's, nil where the scenario runs the loop itself
}

func (e *loopEnv) run() {
	e.ended = make(chan error, 1)
	go func() { e.ended <- e.loop.RunForever() }()
}

// stop ends the run, if there is one, and closes the loop.
func (e *loopEnv) stop() error {
	var err error
	if e.ended != nil {
		e.loop.Stop()
		err = <-e.ended
	}
	return errors.Join(err, e.loop.Close())
}

// Can implements oracletest.Env: both TCP and resets are to be had everywhere.
func (e *loopEnv) Can(string) bool { return true }

func (e *loopEnv) CallSoon(f func()) func() { return e.loop.CallSoon(f).Cancel }

func (e *loopEnv) CallLater(d time.Duration, f func()) func() {
	return e.loop.CallLater(d, f).Cancel
}

func (e *loopEnv) CallAt(when time.Duration, f func()) func() {
	return e.loop.CallAt(when, f).Cancel
}

func (e *loopEnv) Time() time.Duration { return e.loop.Time() }
func (e *loopEnv) RunForever() error   { return e.loop.RunForever() }
func (e *loopEnv) Stop()               { e.loop.Stop() }
func (e *loopEnv) CloseLoop() error    { return e.loop.Close() }

func (e *loopEnv) OnException(f func(string, error, transport.BaseProtocol)) {
	e.loop.SetExceptionHandler(func(x Exception) { f(x.Message, x.Err, x.Protocol) })
}

func (e *loopEnv) ErrName(err error) string {
	switch {
	case errors.Is(err, ErrLoopRunning):
		return "RUNNING"
	case errors.Is(err, ErrLoopClosed):
		return "LOOPCLOSED"
	case errors.Is(err, ErrServerClosed):
		return "SERVERCLOSED"
	}
	return ""
}

// serverUnderTest is a server as scenarios see it.
type serverUnderTest struct {
	*Server
	dial func() (oracletest.Peer, error)
}

// newServer has the loop of e create a server.
func newServer(e oracletest.Env, l *Loop, factory protocol.Factory, deferred bool,
) (*Server, error) {
	var s *Server
	var err error
	done := false
	e.Do(func() {
		l.CreateServerFunc(context.Background(), factory, "127.0.0.1:0",
			&ServerOptions{DeferServing: deferred},
			func(made *Server, failed error) { s, err, done = made, failed, true })
	})
	if waited := e.Until(func() bool { return done }); waited != nil {
		return nil, waited
	}
	return s, err
}

func (s serverUnderTest) Dial() (oracletest.Peer, error) { return s.dial() }
func (s serverUnderTest) HasSockets() bool               { return len(s.Sockets()) > 0 }

// WaitClosed implements oracletest.Server. The server may know the answer at once,
// scenarios take it from a later callback only.
func (s serverUnderTest) WaitClosed(done func(error)) {
	s.WaitClosedFunc(context.Background(), s.later(done))
}

// ServeForever is as WaitClosed.
func (s serverUnderTest) ServeForever(done func(error)) {
	s.ServeForeverFunc(context.Background(), s.later(done))
}

func (s serverUnderTest) later(done func(error)) func(error) {
	return func(err error) { s.loop.CallSoon(func() { done(err) }) }
}
