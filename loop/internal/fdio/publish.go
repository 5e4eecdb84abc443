package fdio

import (
	"net"

	"github.com/sluice-net/sluice/loop/internal/page"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/flowpage"
)

// What transports publish of their pressure is published from here, with one line in
// each place where the state changes. Without a page all of it is a look at a nil
// pointer.

// published is where a transport publishes its state: nowhere while slot is nil.
type published struct {
	page *page.Page
	slot *page.Slot
}

// publish gives a transport its slot, where the loop has a page.
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
// protocol will be told of nothing but that; one that is gone has no slot.
func (p *published) moved(to State) {
	if p.slot == nil {
		return
	}
	if to == Gone {
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

// Starved is told by the loop whether the stream cannot receive for lack of a shared
// buffer.
func (s *Stream) Starved(yes bool) { s.pub.starved(yes) }

// Unpublish takes the stream off its loop's page, which is about to be freed.
func (s *Stream) Unpublish() { s.pub.unpublish() }

// publishHeld publishes what is held back.
func (s *Stream) publishHeld() {
	if s.pub.slot == nil {
		return
	}
	size := 0
	for _, a := range s.reading.held {
		if a.res > 0 {
			size += a.n
		}
	}
	s.pub.slot.Hold(len(s.reading.held), size)
}

// Starved is told by the loop whether the endpoint cannot receive for lack of a
// shared buffer.
func (d *Datagram) Starved(yes bool) { d.pub.starved(yes) }

// Unpublish takes the endpoint off its loop's page, which is about to be freed.
func (d *Datagram) Unpublish() { d.pub.unpublish() }

// publishHeld publishes what is held back.
func (d *Datagram) publishHeld() {
	if d.pub.slot == nil {
		return
	}
	size := 0
	for _, h := range d.held {
		size += len(h.data)
	}
	d.pub.slot.Hold(len(d.held), size)
}
