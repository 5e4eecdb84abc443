package simio

import (
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// Driven is an engine on a Machine, with what Linux does not do: it lets virtual time
// pass between turns, calls tests' functions, and panics where the engine's user
// breaks the engine's contract, or the engine breaks it. It is used in the engine's
// place. The methods are those of proactor.Proactor and for the same goroutines.
type Driven struct {
	proactor.Proactor
	*World
	m *Machine
	a auditor
}

var (
	_ proactor.Proactor = (*Driven)(nil)
	_ proactor.Spawner  = (*Machine)(nil)
)

// Drive returns p, an engine on m, to be used in its place. It is called once, before
// anything else is done with p.
func (m *Machine) Drive(p proactor.Proactor) *Driven {
	d := &Driven{Proactor: p, World: m.World, m: m}
	d.a.d = d
	m.audit = &d.a
	return d
}

// Machine is what the engine runs on.
func (d *Driven) Machine() *Machine { return d.m }

// Now implements proactor.Proactor.
func (d *Driven) Now() time.Duration { return d.World.Now() }

// Wait implements proactor.Proactor. A turn takes a microsecond, unless nothing has
// happened in it; functions of World.After and of peers are called at its end.
func (d *Driven) Wait(timeout time.Duration) error {
	d.within(func() {
		d.m.check(!d.a.waiting, "Wait called inside Wait")
		d.a.waiting = true
	})
	err := d.turn(timeout)
	d.within(func() {
		if d.m.busy || timeout == 0 {
			d.m.now += turnCost
		}
		d.m.busy = false
		d.m.runDue()
	})
	return err
}

// turn is the engine's own Wait.
func (d *Driven) turn(timeout time.Duration) error {
	defer d.within(func() { d.a.waiting = false })
	return d.Proactor.Wait(timeout)
}

// within calls f with the world's lock.
func (d *Driven) within(f func()) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	f()
}

// Submit implements proactor.Proactor.
func (d *Driven) Submit(op *proactor.Op) {
	d.within(func() { d.a.begin(op) })
	d.Proactor.Submit(op)
}

// Halt implements proactor.Proactor.
func (d *Driven) Halt() {
	d.within(func() { d.a.flying, d.a.halted = nil, true })
	d.Proactor.Halt()
}

// Close implements proactor.Proactor.
func (d *Driven) Close() error {
	d.within(func() {
		d.m.check(!d.a.waiting, "Close called inside Wait")
		d.a.flying, d.a.halted = nil, true
		d.m.memory.pieces = nil
	})
	return d.Proactor.Close()
}

// CloseFD implements proactor.Kernel.
func (d *Driven) CloseFD(fd int) error {
	d.within(func() { d.a.checkIdle(fd) })
	return d.Proactor.CloseFD(fd)
}

// TrySend implements proactor.Kernel.
func (d *Driven) TrySend(fd int, bufs [][]byte) (int, error) {
	d.within(func() { d.a.checkNoSend(fd, "TrySend") })
	return d.Proactor.TrySend(fd, bufs)
}

// TrySendMany implements proactor.Kernel.
func (d *Driven) TrySendMany(fd int, batch []proactor.Packet) (int, error) {
	d.within(func() { d.a.checkNoSend(fd, "TrySendMany") })
	return d.Proactor.TrySendMany(fd, batch)
}

// TrySendFDs implements proactor.Kernel.
func (d *Driven) TrySendFDs(fd int, data []byte, fds []int) (int, error) {
	d.within(func() { d.a.checkNoSend(fd, "TrySendFDs") })
	return d.Proactor.TrySendFDs(fd, data, fds)
}

// TrySendfile implements proactor.Kernel.
func (d *Driven) TrySendfile(fd int, from proactor.File, offset int64, n int) (int, error) {
	d.within(func() { d.a.checkNoSend(fd, "TrySendfile") })
	return d.Proactor.TrySendfile(fd, from, offset, n)
}

// TrySpliceOut implements proactor.Kernel.
func (d *Driven) TrySpliceOut(p proactor.SplicePipe, fd, n int) (int, error) {
	d.within(func() { d.a.checkNoSend(fd, "TrySpliceOut") })
	return d.Proactor.TrySpliceOut(p, fd, n)
}

// ShutdownWrite implements proactor.Kernel.
func (d *Driven) ShutdownWrite(fd int) error {
	d.within(func() { d.a.checkNoSend(fd, "ShutdownWrite") })
	return d.Proactor.ShutdownWrite(fd)
}

// GiveBack implements proactor.Memory.
func (d *Driven) GiveBack(buffer uint16) {
	d.within(func() { d.a.giveBack(buffer) })
	d.Proactor.GiveBack(buffer)
}

// Alloc implements proactor.Memory.
func (d *Driven) Alloc(n int) []byte {
	b := d.Proactor.Alloc(n)
	d.within(func() { d.a.alloc(b) })
	return b
}

// Free implements proactor.Memory.
func (d *Driven) Free(b []byte) {
	d.within(func() { d.a.free(b) })
	d.Proactor.Free(b)
}
