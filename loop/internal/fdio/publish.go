package fdio

import (
	"net"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/flowpage"
)

// What transports publish of their pressure is published from here, with one line in
// each place where the state changes. Without a page all of it is a look at a nil
// pointer.

// published is where a transport publishes its state: nowhere while slot is nil.
type published struct {
	page *flowpage.Page
	slot *flowpage.Slot
}

// publish gives a transport its slot, where the loop has a page.
func publish(host Host, fd int, local net.Addr, limits transport.Limits) published {
	page := host.FlowPage()
	if page == nil {
		return published{}
	}
	cookie, err := host.Engine().Cookie(fd)
	if err != nil {
		return published{}
	}
	slot := page.Add(flowpage.Identity{Kind: kindOf(local), FD: fd, Cookie: cookie})
	slot.SetLimits(limits.High, limits.Low)
	return published{page, slot}
}

// kindOf tells the kind of a transport by its address.
func kindOf(local net.Addr) flowpage.Kind {
	switch a := local.(type) {
	case *net.TCPAddr:
		return flowpage.KindTCP
	case *net.UDPAddr:
		return flowpage.KindUDP
	case *net.UnixAddr:
		if a.Net == "unixgram" {
			return flowpage.KindUnixgram
		}
		return flowpage.KindUnix
	}
	return flowpage.KindPipe
}

// moved publishes a transition. A lost transport has dropped its output, and its
// protocol will be told of nothing but that; one that is closed has no slot.
func (p *published) moved(to State) {
	if p.slot == nil {
		return
	}
	if to == Closed {
		p.unpublish()
		return
	}
	p.slot.SetState(flowpage.StateMade + flowpage.State(to))
	if to == Lost {
		p.slot.SetBuffered(0)
		p.slot.Hold(0, 0)
		p.page.ResumeWriting(p.slot)
		p.page.ResumeReading(p.slot)
		p.page.Feed(p.slot)
	}
}

// unpublish gives the slot back.
func (p *published) unpublish() {
	p.page.Remove(p.slot)
	*p = published{}
}

// received publishes that the engine delivered a completion of op.
func (p *published) received(op *proactor.Op) {
	if p.slot != nil && op.Res > 0 && op.Code != proactor.Poll {
		p.slot.Read(int(op.Res))
	}
}

// sending publishes that the engine was given bufs to send.
func (p *published) sending(bufs [][]byte) {
	if p.slot == nil {
		return
	}
	size := 0
	for _, b := range bufs {
		size += len(b)
	}
	p.page.Sending(p.slot, size)
}

// sendingPackets publishes that the kernel has no room for batch.
func (p *published) sendingPackets(batch []proactor.Packet) {
	if p.slot == nil {
		return
	}
	size := 0
	for _, packet := range batch {
		size += len(packet.Data)
	}
	p.page.Sending(p.slot, size)
}

// starved publishes whether a receive lacks a shared buffer.
func (p *published) starved(yes bool) {
	if yes {
		p.page.Starve(p.slot)
	} else {
		p.page.Feed(p.slot)
	}
}

// Starved implements Transport.
func (e *endpoint) Starved(yes bool) { e.pub.starved(yes) }

// Unpublish implements Transport.
func (e *endpoint) Unpublish() { e.pub.unpublish() }

// publishHeld publishes what is held back.
func (e *endpoint) publishHeld() {
	if e.pub.slot == nil {
		return
	}
	size := 0
	for _, a := range e.held {
		size += max(int(a.res), 0)
	}
	e.pub.slot.Hold(len(e.held), size)
}
