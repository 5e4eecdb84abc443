package loop_test

import (
	"fmt"
	"net"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// parcel is a datagram that was received.
type parcel struct {
	data string
	from transport.Addr
}

// postman is a DatagramProtocol that writes down what it is told. Its fields
// belong to the loop's goroutine, the hooks may be nil.
type postman struct {
	t        transport.DatagramTransport
	got      []parcel
	errs     []error
	events   []string
	lostErr  error
	received func(data []byte, from transport.Addr)
	failed   func(err error)
	paused   func()
	resumed  func()
	made     func()
}

func (p *postman) event(name string, hook func()) {
	p.events = append(p.events, name)
	if hook != nil {
		hook()
	}
}

func (p *postman) ConnectionMade(t transport.DatagramTransport) {
	p.t = t
	p.event("made", p.made)
}

func (p *postman) DatagramReceived(data []byte, from transport.Addr) {
	p.got = append(p.got, parcel{string(data), from})
	p.event("received", nil)
	if p.received != nil {
		p.received(data, from)
	}
}

func (p *postman) ErrorReceived(err error) {
	p.errs = append(p.errs, err)
	p.event("error", nil)
	if p.failed != nil {
		p.failed(err)
	}
}

func (p *postman) PauseWriting()  { p.event("pause", p.paused) }
func (p *postman) ResumeWriting() { p.event("resume", p.resumed) }

func (p *postman) ConnectionLost(err error) {
	p.lostErr = err
	p.event("lost", nil)
}

// texts are the data of what was received.
func (p *postman) texts() []string {
	var out []string
	for _, g := range p.got {
		out = append(out, g.data)
	}
	return out
}

func (p *postman) count(event string) int {
	n := 0
	for _, e := range p.events {
		if e == event {
			n++
		}
	}
	return n
}

// office makes an endpoint for p, which is aborted at the end of the test.
func office(t *testing.T, l *loop.Loop, p *postman, o loop.DatagramOptions) *postman {
	t.Helper()
	tr, err := l.CreateDatagramEndpoint(withTimeout(t), p, &o)
	if err != nil {
		t.Fatal(err)
	}
	if tr != p.t {
		t.Errorf("CreateDatagramEndpoint returned %v, ConnectionMade got %v", tr, p.t)
	}
	t.Cleanup(func() {
		looptest.Do(l, p.t.Abort)
		looptest.WaitFor(t, l, "ConnectionLost", func() bool { return p.t.Protocol() == nil })
	})
	return p
}

var anyPort = loop.DatagramOptions{LocalAddr: "127.0.0.1:0"}

// here is where an endpoint receives.
func here(p *postman) transport.Addr {
	switch a := transport.SockName(p.t).(type) {
	case *net.UDPAddr:
		return transport.Addr{AddrPort: a.AddrPort()}
	case *net.UnixAddr:
		return transport.Addr{Path: a.Name}
	}
	return transport.Addr{}
}

// correspondents are two endpoints; the first is connected to the second.
func correspondents(t *testing.T, l *loop.Loop) (client, server *postman) {
	t.Helper()
	server = office(t, l, &postman{}, anyPort)
	client = office(t, l, &postman{}, loop.DatagramOptions{RemoteAddr: here(server).String()})
	return client, server
}

// sendAll sends texts in one round.
func sendAll(t *testing.T, l *loop.Loop, p *postman, to transport.Addr, texts ...string) {
	looptest.Do(l, func() {
		for _, s := range texts {
			if err := p.t.SendTo([]byte(s), to); err != nil {
				t.Error(err)
			}
		}
	})
}

// wantTexts waits until exactly these have arrived.
func wantTexts(t *testing.T, l *loop.Loop, p *postman, want ...string) {
	t.Helper()
	looptest.WaitFor(t, l, fmt.Sprintf("%d datagrams", len(want)), func() bool {
		return len(p.got) >= len(want)
	})
	looptest.Do(l, func() {
		got := p.texts()
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Errorf("datagram %d is %.20q, want %.20q", i, got[i], want[i])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d datagrams, want %d", len(got), len(want))
		}
	})
}

var nobody = transport.Addr{}

var _ protocol.DatagramProtocol = (*postman)(nil)
