package loop

import (
	"math/rand/v2"

	"github.com/sluice-net/sluice/loop/internal/epoll"
	"github.com/sluice-net/sluice/loop/internal/iouring"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/simio"
)

// chaosKernel is what a run of chaos has below the loop.
type chaosKernel uint8

const (
	onSimio chaosKernel = iota // the simulated engine
	onRing                     // the engine on io_uring, on a simulated ring
	onEpoll                    // the engine on epoll, on a simulated epoll
)

// test is the name of the test that runs it.
func (k chaosKernel) test() string {
	return [...]string{"TestChaos", "TestChaosOnARing", "TestChaosOnEpoll"}[k]
}

// openEngine makes the world, and an engine in it.
func (c *chaos) openEngine(o simio.Options) proactor.Proactor {
	var engine proactor.Proactor
	var err error
	switch c.on {
	case onRing:
		o.Config = c.smallQueues(o.Config)
		m := simio.NewMachine(o)
		c.world = m.World
		engine, err = iouring.NewOn(m, o.Config)
		engine = m.Drive(engine)
	case onEpoll:
		m := simio.NewEpoll(o)
		c.world = m.World
		engine, err = epoll.NewOn(m, o.Config)
		engine = m.Drive(engine)
	default:
		e := simio.New(o)
		c.world = e.World
		engine = e
	}
	if err != nil {
		panic(err)
	}
	return engine
}

// smallQueues has most runs need several enters for a turn.
func (c *chaos) smallQueues(cfg proactor.Config) proactor.Config {
	random := rand.New(rand.NewPCG(c.seed, 0x41165))
	cfg.Entries = 1 << random.IntN(6)
	cfg.CQEntries = cfg.Entries << random.IntN(2)
	return cfg
}
