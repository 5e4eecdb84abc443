package fdio

import (
	"net"

	"github.com/sluice-net/sluice/loop/internal/page"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/flowpage"
)

// Transports publish their pressure with these methods, one line in each place where the
// state changes. Without a page, each costs a check for nil.

// published is where a transport publishes its state. If slot is nil, it does not.
type published struct {
	page *page.Page
	slot *page.Slot
}

// publish gives a transport its slot, if the loop has a page.
func publish(host Host, fd int, local net.Addr, limits transport.Limits) published {
	p := host.FlowPage()
	if p == nil {
		return published{}
	}
	cookie, err := host.Engine().Cookie(fd)
	if err != nil {
		return published{}
	}
	slot := p.Add(page.Identity{Kind: kindOf(local), FD: fd, Cookie: cookie})
	slot.SetLimits(limits.High, limits.Low)
	return published{p, slot}
}

// kindOf returns the kind of a transport, judged by its address.
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

// moved publishes a transition. A lost transport has dropped its output, and its protocol
// gets no callback except for the loss; a closed one has no slot.
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
