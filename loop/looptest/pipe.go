package looptest

import (
	"os"

	"github.com/sluice-net/sluice/loop"
)

// Pipe returns both ends of a new pipe, for ConnectReadPipe and ConnectWritePipe of l, a
// loop made by this package. If l is simulated, so is the pipe, and its ends cannot be
// used for anything else. The caller must close an end that it does not give to l.
func Pipe(l *loop.Loop) (r, w *os.File, err error) {
	sim := of(l).sim
	if sim == nil {
		return os.Pipe()
	}
	rfd, wfd := sim.Pipe()
	if r, err = sim.File(rfd); err != nil {
		return nil, nil, err
	}
	if w, err = sim.File(wfd); err != nil {
		return nil, nil, err
	}
	return r, w, nil
}
