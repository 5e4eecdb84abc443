package looptest

import (
	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/epoll"
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

// simulated says which part of a loop's engine is simulated.
type simulated uint8

const (
	whole   simulated = iota // all of it
	onRing                   // the ring below the io_uring engine
	onEpoll                  // the kernel below the epoll engine
)

// simulate makes a simulation, and a loop on it with the options o.
func simulate(s simio.Options, kind simulated, o *loop.Options) (*simulation, *loop.Loop) {
	s.Config = proactor.Config{BufferSize: o.Buffers.Size, BuffersMin: o.Buffers.Min,
		BuffersMax: o.Buffers.Max}
	sim := &simulation{World: simio.NewWorld(s)}
	var engine proactor.Proactor
	var err error
	switch kind {
	case onRing:
		s.Config.Entries, s.Config.CQEntries = o.Entries, o.CQEntries
		m := sim.NewMachine()
		engine, err = iouring.NewOn(m, s.Config)
		sim.engine = m.Drive(engine)
	case onEpoll:
		m := sim.NewEpoll()
		engine, err = epoll.NewOn(m, s.Config)
		sim.engine = m.Drive(engine)
	default:
		sim.engine = sim.NewEngine(s.Config)
	}
	if err != nil {
		panic(err)
	}
	sim.addPrograms()
	return sim, hook.New(sim.engine, o).(*loop.Loop)
}
