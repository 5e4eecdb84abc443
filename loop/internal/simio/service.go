package simio

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// Service is a listener without a loop: every connection to it is a Peer.
type Service struct {
	w      *World
	f      *file
	accept func(*Peer)
}

// Serve listens at addr, where port 0 means any, and calls accept for each
// connection, as Peer.Notify's callback is called. The error is an Errno.
func (w *World) Serve(addr transport.Addr, accept func(*Peer)) (*Service, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.newFile(streamSocket, familyOf(addr))
	s := &Service{w: w, f: f, accept: accept}
	f.service = s
	f.options[proactor.ReuseAddr] = 1
	if errno := w.bindFile(f, addr); errno != 0 {
		return nil, errno
	}
	if errno := w.listen(f, 128); errno != 0 {
		return nil, errno
	}
	return s, nil
}

// Addr is where the service listens.
func (s *Service) Addr() transport.Addr {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	return s.f.local
}

// Close stops listening. What was not accepted is reset.
func (s *Service) Close() {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.f.close()
	s.w.settle()
	s.w.rouse()
}

// pump accepts.
func (s *Service) pump() {
	for len(s.f.queue) > 0 {
		f := s.f.queue[0]
		s.f.queue = s.f.queue[1:]
		p := s.w.newPeer(f)
		f.record("peer accept", 0)
		s.w.push(event{at: s.w.now, script: true, do: func() { s.accept(p) }})
		f.touch()
	}
}

// Packet is a datagram that a PacketPeer received.
type Packet struct {
	Data []byte
	From transport.Addr
}

// PacketPeer is a datagram socket without a loop.
type PacketPeer struct {
	w   *World
	f   *file
	got []Packet
}

// ServePackets returns a datagram socket at addr, where port 0 means any. The
// error is an Errno.
func (w *World) ServePackets(addr transport.Addr) (*PacketPeer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.newFile(datagramSocket, familyOf(addr))
	p := &PacketPeer{w: w, f: f}
	f.packer = p
	if errno := w.bindFile(f, addr); errno != 0 {
		return nil, errno
	}
	return p, nil
}

// Addr is where the peer is bound.
func (p *PacketPeer) Addr() transport.Addr {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.f.local
}

// SendTo sends a copy of b. The error is an Errno.
func (p *PacketPeer) SendTo(b []byte, to transport.Addr) error {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.f.stage == gone {
		return syscall.EBADF
	}
	_, errno := p.f.sendDatagram([][]byte{b}, to)
	p.f.record("peer sendto", -int64(errno), b)
	p.w.settle()
	p.w.rouse()
	if errno != 0 {
		return errno
	}
	return nil
}

// Received returns what arrived so far.
func (p *PacketPeer) Received() []Packet {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.got[:len(p.got):len(p.got)]
}

// Close closes the socket.
func (p *PacketPeer) Close() {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.f.close()
}

// pump takes what arrived.
func (p *PacketPeer) pump() {
	for _, k := range p.f.packets {
		p.f.record("peer recvfrom", int64(len(k.data)), k.data)
		p.got = append(p.got, Packet{Data: k.data, From: k.from})
	}
	p.f.packets = nil
	p.f.wakeSenders()
}
