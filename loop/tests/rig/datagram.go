package rig

import (
	"fmt"
	"net"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Datagram is a datagram that was received.
type Datagram struct {
	Data string
	From transport.Addr
}

// DatagramRecorder is a DatagramProtocol that writes down what it is told. Its fields
// belong to the loop's goroutine, the hooks may be nil.
type DatagramRecorder struct {
	T       transport.DatagramTransport // of ConnectionMade
	Got     []Datagram                  // what was received
	Errs    []error                     // of ErrorReceived
	Events  []string                    // made, received, error, pause, resume, lost
	LostErr error                       // of ConnectionLost

	// Hooks, called when the event was written down.
	Received func(data []byte, from transport.Addr)
	Failed   func(err error)
	Paused   func()
	Resumed  func()
	Made     func()
}

func (p *DatagramRecorder) event(name string, hook func()) {
	p.Events = append(p.Events, name)
	if hook != nil {
		hook()
	}
}

// ConnectionMade implements protocol.DatagramProtocol.
func (p *DatagramRecorder) ConnectionMade(t transport.DatagramTransport) {
	p.T = t
	p.event("made", p.Made)
}

// DatagramReceived implements protocol.DatagramProtocol.
func (p *DatagramRecorder) DatagramReceived(data []byte, from transport.Addr) {
	p.Got = append(p.Got, Datagram{string(data), from})
	p.event("received", nil)
	if p.Received != nil {
		p.Received(data, from)
	}
}

// ErrorReceived implements protocol.DatagramProtocol.
func (p *DatagramRecorder) ErrorReceived(err error) {
	p.Errs = append(p.Errs, err)
	p.event("error", nil)
	if p.Failed != nil {
		p.Failed(err)
	}
}

// PauseWriting implements protocol.DatagramProtocol.
func (p *DatagramRecorder) PauseWriting() { p.event("pause", p.Paused) }

// ResumeWriting implements protocol.DatagramProtocol.
func (p *DatagramRecorder) ResumeWriting() { p.event("resume", p.Resumed) }

// ConnectionLost implements protocol.DatagramProtocol.
func (p *DatagramRecorder) ConnectionLost(err error) {
	p.LostErr = err
	p.event("lost", nil)
}

// Texts are the data of what was received.
func (p *DatagramRecorder) Texts() []string {
	var out []string
	for _, g := range p.Got {
		out = append(out, g.Data)
	}
	return out
}

// Count is how often there was such an event.
func (p *DatagramRecorder) Count(event string) int {
	n := 0
	for _, e := range p.Events {
		if e == event {
			n++
		}
	}
	return n
}

// OpenDatagram makes an endpoint for p, which is aborted at the end of the test.
func OpenDatagram(t *testing.T, l *loop.Loop, p *DatagramRecorder,
	o loop.DatagramOptions) *DatagramRecorder {
	t.Helper()
	tr, err := l.CreateDatagramEndpoint(WithTimeout(t), p, &o)
	if err != nil {
		t.Fatal(err)
	}
	if tr != p.T {
		t.Errorf("CreateDatagramEndpoint returned %v, ConnectionMade got %v", tr, p.T)
	}
	t.Cleanup(func() {
		looptest.Do(l, p.T.Abort)
		looptest.WaitFor(t, l, "ConnectionLost", func() bool { return p.T.Protocol() == nil })
	})
	return p
}

// AnyPort are the options of an endpoint on a free port of this machine.
var AnyPort = loop.DatagramOptions{LocalAddr: "127.0.0.1:0"}

// Here is where an endpoint receives.
func AddrOf(p *DatagramRecorder) transport.Addr {
	switch a := transport.SockName(p.T).(type) {
	case *net.UDPAddr:
		return transport.Addr{AddrPort: a.AddrPort()}
	case *net.UnixAddr:
		return transport.Addr{Path: a.Name}
	}
	return transport.Addr{}
}

// DatagramPair are two endpoints; the first is connected to the second.
func DatagramPair(t *testing.T, l *loop.Loop) (client, server *DatagramRecorder) {
	t.Helper()
	server = OpenDatagram(t, l, &DatagramRecorder{}, AnyPort)
	client = OpenDatagram(t, l, &DatagramRecorder{},
		loop.DatagramOptions{RemoteAddr: AddrOf(server).String()})
	return client, server
}

// SendAll sends texts in one round.
func SendAll(t *testing.T, l *loop.Loop, p *DatagramRecorder, to transport.Addr, texts ...string) {
	looptest.Do(l, func() {
		for _, s := range texts {
			if err := p.T.SendTo([]byte(s), to); err != nil {
				t.Error(err)
			}
		}
	})
}

// WantTexts waits until exactly these have arrived.
func WantTexts(t *testing.T, l *loop.Loop, p *DatagramRecorder, want ...string) {
	t.Helper()
	looptest.WaitFor(t, l, fmt.Sprintf("%d datagrams", len(want)), func() bool {
		return len(p.Got) >= len(want)
	})
	looptest.Do(l, func() {
		got := p.Texts()
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

// Nobody is the address to send to where the endpoint has a peer.
var Nobody = transport.Addr{}

var _ protocol.DatagramProtocol = (*DatagramRecorder)(nil)
