package loop_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
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

// statements: 148, 149
func TestS174_SendBatchSendsAllInOrderAndPausesOnce(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, gso := range []bool{false, true} {
			server := office(t, l, &postman{}, anyPort)
			client := office(t, l, &postman{},
				loop.DatagramOptions{LocalAddr: "127.0.0.1:0", GSO: gso})
			want := append(numbered(100, 40), "", "x")
			looptest.Do(l, func() {
				if err := client.t.SetWriteBufferLimits(transport.Limits{High: 60}); err != nil {
					t.Error(err)
				}
				batch := batchTo(here(server), want...)
				sender := client.t.(transport.BatchSender)
				n, err := sender.SendBatch(batch)
				if n != len(want) || err != nil {
					t.Errorf("SendBatch: %d, %v", n, err)
				}
				if n := client.t.WriteBufferSize(); n != 100*48+8+9 {
					t.Errorf("%d bytes are buffered", n)
				}
				if client.count("pause") != 1 || !client.t.WritePaused() {
					t.Error(client.events)
				}
				for _, d := range batch {
					clear(d.Data) // nothing is retained
				}
				clear(batch)
			})
			wantTexts(t, l, server, want...)
			looptest.WaitFor(t, l, "ResumeWriting", func() bool {
				return client.count("resume") == 1
			})
		}
	})
}

// statements: 150, 151, 162
func TestS174_SendBatchStopsAtWhatSendToWouldRefuse(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := office(t, l, &postman{}, anyPort)
		client := office(t, l, &postman{}, anyPort)
		connected := office(t, l, &postman{},
			loop.DatagramOptions{RemoteAddr: here(server).String()})
		send := func(p *postman, wantN int, want error, batch ...transport.Datagram) {
			n, err := p.t.(transport.BatchSender).SendBatch(batch)
			if n != wantN || !errors.Is(err, want) {
				t.Errorf("SendBatch: %d, %v; want %d, %v", n, err, wantN, want)
			}
		}
		looptest.Do(l, func() {
			two := batchTo(here(server), "a", "b")
			none := batchTo(nobody, "lost")
			elsewhere := batchTo(here(client), "no")
			send(client, 0, nil)
			send(client, 2, transport.ErrNoDestination, append(two, none...)...)
			if n := client.t.WriteBufferSize(); n != 2*9 {
				t.Errorf("%d bytes are buffered", n)
			}
			send(connected, 1, transport.ErrAddrMismatch,
				append(append(none, elsewhere...), none...)...)
			send(client, 1, nil, batchTo(here(server), "c")...)
			client.t.Close()
			send(client, 0, transport.ErrClosed, two...)
		})
		looptest.WaitFor(t, l, "four datagrams", func() bool { return len(server.got) == 4 })
		looptest.Do(l, func() {
			var of [2]string
			for _, g := range server.got {
				if g.from == here(client) {
					of[0] += g.data
				} else {
					of[1] += g.data
				}
			}
			if of != [2]string{"abc", "lost"} {
				t.Errorf("%q", of)
			}
		})
	})
}

// Writing is paused while SendBatch is under way: the callback sees it all, and may
// end it all.
func TestS174_PauseWritingInSendBatchMayAbort(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client := &postman{}
		client.paused = func() { client.t.Abort() }
		office(t, l, client, anyPort)
		looptest.Do(l, func() {
			if err := client.t.SetWriteBufferLimits(transport.Limits{}); err != nil {
				t.Error(err)
			}
			n, err := client.t.(transport.BatchSender).SendBatch(batchTo(here(client), "a", "b"))
			if n != 2 || err != nil || client.t.WriteBufferSize() != 0 {
				t.Error(n, err, client.t.WriteBufferSize())
			}
		})
		looptest.WaitFor(t, l, "ConnectionLost", func() bool { return client.count("lost") == 1 })
	})
}

func TestS110_WriteCapOfAnEndpointRefusesWhatIsBeyondIt(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := office(t, l, &postman{}, anyPort)
		client := office(t, l, &postman{},
			loop.DatagramOptions{RemoteAddr: here(server).String(), WriteCap: 1000})
		batch := client.t.(transport.BatchSender)
		looptest.Do(l, func() {
			for i, c := range []struct {
				size int // of which eight are not the datagram's
				want error
			}{{508, nil}, {493, transport.ErrBufferFull}, {400, nil}, {92, nil},
				{8, transport.ErrBufferFull}} {
				if err := client.t.SendTo(make([]byte, c.size-8), nobody); err != c.want {
					t.Errorf("%d: %v, want %v", i, err, c.want)
				}
			}
			n, err := batch.SendBatch([]transport.Datagram{{}})
			if n != 0 || err != transport.ErrBufferFull || client.t.WriteBufferSize() != 1000 {
				t.Errorf("%d, %v, %d bytes are buffered", n, err, client.t.WriteBufferSize())
			}
		})
		looptest.WaitFor(t, l, "the end of it", func() bool { return len(server.got) == 3 })
		looptest.WaitFor(t, l, "room", func() bool { return client.t.WriteBufferSize() == 0 })
		looptest.Do(l, func() {
			n, err := batch.SendBatch([]transport.Datagram{{Data: make([]byte, 492)},
				{Data: make([]byte, 492)}, {}})
			if n != 2 || err != transport.ErrBufferFull {
				t.Errorf("%d of a batch, %v", n, err)
			}
		})
		looptest.WaitFor(t, l, "both", func() bool { return len(server.got) == 5 })
	})
}
