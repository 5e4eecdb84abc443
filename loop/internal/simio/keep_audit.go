package simio

import (
	"slices"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// keptBuffer is a receive buffer that its receiver keeps.
type keptBuffer struct {
	number uint16
	data   []byte // what was received into it
}

// keep notes that the receiver of data keeps the buffer.
func (a *auditor) keep(op *proactor.Op, data []byte) {
	a.d.m.check(op.Keepable, "a buffer is kept that must not be")
	for _, k := range a.kept {
		a.d.m.check(k.number != op.Buffer, "a buffer was delivered that is kept")
	}
	a.kept = append(a.kept, keptBuffer{op.Buffer, data})
}

// giveBack checks that nothing in flight uses the buffer any longer, and spoils it. After
// Halt it does not matter.
func (a *auditor) giveBack(number uint16) {
	if a.halted {
		return
	}
	i := slices.IndexFunc(a.kept, func(k keptBuffer) bool { return k.number == number })
	a.d.m.check(i >= 0, "GiveBack of a buffer that nobody keeps")
	data := a.kept[i].data
	a.kept = slices.Delete(a.kept, i, i+1)
	for _, x := range a.flying {
		for _, b := range x.sent() {
			start := address(data)
			if at := address(b); len(b) > 0 && at >= start && at < start+uintptr(len(data)) {
				a.blame(x.fd, "a buffer is given back with %s in flight on it", x.code)
			}
		}
	}
	poison(data)
}
