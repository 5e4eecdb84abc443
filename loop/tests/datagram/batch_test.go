package datagram_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
)

// netipPort is an address with another port.
func netipPort(a transport.Addr, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), port)
}

// batchTo makes datagrams to one address.
func batchTo(to transport.Addr, texts ...string) (batch []transport.Datagram) {
	for _, s := range texts {
		batch = append(batch, transport.Datagram{Data: []byte(s), Addr: to})
	}
	return batch
}

func TestS174_SendBatchSendsAllInOrderAndPausesOnce(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, gso := range []bool{false, true} {
			server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
			client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
				loop.DatagramOptions{LocalAddr: "127.0.0.1:0", GSO: gso})
			want := append(numbered(100, 40), "", "x")
			looptest.Do(l, func() {
				if err := client.T.SetWriteBufferLimits(transport.Limits{High: 60}); err != nil {
					t.Error(err)
				}
				batch := batchTo(rig.AddrOf(server), want...)
				sender := client.T.(transport.BatchSender)
				n, err := sender.SendBatch(batch)
				if n != len(want) || err != nil {
					t.Errorf("SendBatch: %d, %v", n, err)
				}
				if n := client.T.WriteBufferSize(); n != 100*48+8+9 {
					t.Errorf("%d bytes are buffered", n)
				}
				if client.Count("pause") != 1 || !client.T.WritePaused() {
					t.Error(client.Events)
				}
				for _, d := range batch {
					clear(d.Data) // nothing is retained
				}
				clear(batch)
			})
			rig.WantTexts(t, l, server, want...)
			looptest.WaitFor(t, l, "ResumeWriting", func() bool {
				return client.Count("resume") == 1
			})
		}
	})
}

func TestS174_SendBatchStopsAtWhatSendToWouldRefuse(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		connected := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{RemoteAddr: rig.AddrOf(server).String()})
		send := func(p *rig.DatagramRecorder, wantN int, want error, batch ...transport.Datagram) {
			n, err := p.T.(transport.BatchSender).SendBatch(batch)
			if n != wantN || !errors.Is(err, want) {
				t.Errorf("SendBatch: %d, %v; want %d, %v", n, err, wantN, want)
			}
		}
		looptest.Do(l, func() {
			two := batchTo(rig.AddrOf(server), "a", "b")
			none := batchTo(rig.Nobody, "lost")
			elsewhere := batchTo(rig.AddrOf(client), "no")
			send(client, 0, nil)
			send(client, 2, transport.ErrNoDestination, append(two, none...)...)
			if n := client.T.WriteBufferSize(); n != 2*9 {
				t.Errorf("%d bytes are buffered", n)
			}
			send(connected, 1, transport.ErrAddrMismatch,
				append(append(none, elsewhere...), none...)...)
			send(client, 1, nil, batchTo(rig.AddrOf(server), "c")...)
			client.T.Close()
			send(client, 0, transport.ErrClosed, two...)
		})
		looptest.WaitFor(t, l, "four datagrams", func() bool { return len(server.Got) == 4 })
		looptest.Do(l, func() {
			var of [2]string
			for _, g := range server.Got {
				if g.From == rig.AddrOf(client) {
					of[0] += g.Data
				} else {
					of[1] += g.Data
				}
			}
			if of != [2]string{"abc", "lost"} {
				t.Errorf("%q", of)
			}
		})
	})
}

// PauseWriting is called inside SendBatch, when the whole batch is queued, and may end the
// endpoint.
func TestS107_S174_PauseWritingInSendBatchMayAbort(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client := &rig.DatagramRecorder{}
		client.Paused = func() { client.T.Abort() }
		rig.OpenDatagram(t, l, client, rig.AnyPort)
		looptest.Do(l, func() {
			if err := client.T.SetWriteBufferLimits(transport.Limits{}); err != nil {
				t.Error(err)
			}
			n, err := client.T.(transport.BatchSender).SendBatch(
				batchTo(rig.AddrOf(client), "a", "b"))
			if n != 2 || err != nil || client.T.WriteBufferSize() != 0 {
				t.Error(n, err, client.T.WriteBufferSize())
			}
		})
		looptest.WaitFor(t, l, "ConnectionLost", func() bool { return client.Count("lost") == 1 })
	})
}

func TestS110_WriteCapOfAnEndpointRefusesWhatIsBeyondIt(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{RemoteAddr: rig.AddrOf(server).String(), WriteCap: 1000})
		batch := client.T.(transport.BatchSender)
		looptest.Do(l, func() {
			for i, c := range []struct {
				size int // of which eight are not the datagram's
				want error
			}{{508, nil}, {493, transport.ErrBufferFull}, {400, nil}, {92, nil},
				{8, transport.ErrBufferFull}} {
				if err := client.T.SendTo(make([]byte, c.size-8), rig.Nobody); err != c.want {
					t.Errorf("%d: %v, want %v", i, err, c.want)
				}
			}
			n, err := batch.SendBatch([]transport.Datagram{{}})
			if n != 0 || err != transport.ErrBufferFull || client.T.WriteBufferSize() != 1000 {
				t.Errorf("%d, %v, %d bytes are buffered", n, err, client.T.WriteBufferSize())
			}
		})
		looptest.WaitFor(t, l, "the end of it", func() bool { return len(server.Got) == 3 })
		looptest.WaitFor(t, l, "room", func() bool { return client.T.WriteBufferSize() == 0 })
		looptest.Do(l, func() {
			n, err := batch.SendBatch([]transport.Datagram{{Data: make([]byte, 492)},
				{Data: make([]byte, 492)}, {}})
			if n != 2 || err != transport.ErrBufferFull {
				t.Errorf("%d of a batch, %v", n, err)
			}
		})
		looptest.WaitFor(t, l, "both", func() bool { return len(server.Got) == 5 })
	})
}
