package looptest

import (
	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/hook"
	"github.com/sluice-net/sluice/loop/internal/iouring"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/simio"
)

// simulation is a simulated kernel and the engine of a loop in it.
type simulation struct {
	*simio.World
	engine proactor.Proactor
}

// simulate makes a simulation, and a loop on it with the options o: on the simulated
// engine or, where ring is set, on the engine for io_uring.
func simulate(s simio.Options, ring bool, o *loop.Options) (*simulation, *loop.Loop) {
	s.Config = proactor.Config{BufferSize: o.Buffers.Size, BuffersMin: o.Buffers.Min,
		BuffersMax: o.Buffers.Max}
	sim := &simulation{World: simio.NewWorld(s)}
	if ring {
		s.Config.Entries, s.Config.CQEntries = o.Entries, o.CQEntries
		m := sim.NewMachine()
		engine, err := iouring.NewOn(m, s.Config)
		if err != nil {
			panic(err)
		}
		sim.engine = m.Drive(engine)
	} else {
		sim.engine = sim.NewEngine(s.Config)
	}
	sim.addPrograms()
	return sim, hook.New(sim.engine, o).(*loop.Loop)
}
