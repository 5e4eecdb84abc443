// Package hook lets loop/looptest build a loop over an engine of its choice
// without showing engines to users: package loop fills in New when it is
// initialised.
package hook

import "github.com/sluice-net/sluice/loop/internal/proactor"

// New makes a *loop.Loop over engine, with options of type *loop.Options or
// nil. The loop owns the engine.
var New func(engine proactor.Proactor, options any) any
