package simio

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// Children are the machine's.

// Spawn implements proactor.Spawner.
func (d *Driven) Spawn(args []string, pipes [3]bool, merged bool) (proactor.Spawned, error) {
	return d.m.Spawn(args, pipes, merged)
}

// SignalChild implements proactor.Spawner.
func (d *Driven) SignalChild(pidfd int, sig syscall.Signal) error {
	return d.m.SignalChild(pidfd, sig)
}

// ReapChild implements proactor.Spawner.
func (d *Driven) ReapChild(pidfd int) int { return d.m.ReapChild(pidfd) }
