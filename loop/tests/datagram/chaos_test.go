package datagram_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
)

// datagramSeeds is how many worlds the chaos of datagrams is tried in at length.
const datagramSeeds = 150

// Whatever goes wrong, Unix datagrams arrive once, in order, and each call of
// PauseWriting is followed by one of ResumeWriting.
func TestUnixDatagramsSurviveChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for seed := range uint64(rig.Amount(datagramSeeds)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			faults := looptest.RandomFaults(seed)
			faults.NoSocket, faults.BindBusy = 0, 0
			n := looptest.New(t, looptest.Options{Seed: seed, Faults: faults})
			chaosOfDatagrams(t, n, rand.New(rand.NewPCG(seed, 1)), "@server", "@client")
		})
	}
}

// UDP datagrams may be lost, doubled and swapped; none is made up.
func TestUDPSurvivesChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for seed := range uint64(rig.Amount(datagramSeeds)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			faults := looptest.RandomFaults(seed)
			faults.NoSocket, faults.BindBusy = 0, 0
			n := looptest.New(t, looptest.Options{Seed: seed, Faults: faults})
			chaosOfDatagrams(t, n, rand.New(rand.NewPCG(seed, 2)), "", "")
		})
	}
}

// chaosOfDatagrams sends from one endpoint to another, both of which do odd things
// in their callbacks.
func chaosOfDatagrams(t *testing.T, n *looptest.Network, r *rand.Rand, at, from string) {
	l := n.Loop
	server, client := &rig.DatagramRecorder{}, &rig.DatagramRecorder{}
	server.Received = func([]byte, transport.Addr) {
		if r.IntN(4) == 0 {
			server.T.PauseReading()
			l.CallLater(time.Duration(r.IntN(3000))*time.Microsecond, server.T.ResumeReading)
		}
	}
	so, co := loop.DatagramOptions{LocalPath: at}, loop.DatagramOptions{LocalPath: from}
	if at == "" {
		so, co = rig.AnyPort, rig.AnyPort
		so.GRO, co.GSO = r.IntN(2) == 0, r.IntN(2) == 0
		so.RecvErr, co.RecvErr = r.IntN(2) == 0, r.IntN(2) == 0
		if r.IntN(3) == 0 {
			co.SendBuffer = 1 + r.IntN(20_000)
		}
	}
	rig.OpenDatagram(t, l, server, so)
	to := rig.AddrOf(server)
	if r.IntN(2) == 0 {
		co.RemotePath, co.RemoteAddr = to.Path, ""
		if at == "" {
			co.RemoteAddr = to.String()
		}
		to = rig.Nobody
	}
	rig.OpenDatagram(t, l, client, co)
	const total = 300
	sent, size := 0, r.IntN(2000)
	var send func()
	send = func() {
		var batch []transport.Datagram
		for range r.IntN(40) {
			if sent+len(batch) == total || client.T.WritePaused() {
				break
			}
			if r.IntN(8) == 0 { // else of one size, as groups are
				size = r.IntN(2000)
			}
			data := fmt.Appendf(nil, "%03d%*s", sent+len(batch), size, "")
			batch = append(batch, transport.Datagram{Data: data, Addr: to})
		}
		sendSome(t, client, batch, r.IntN(2) == 0)
		sent += len(batch)
		if sent < total {
			l.CallLater(time.Duration(r.IntN(500))*time.Microsecond, send)
			return
		}
		client.T.Close()
	}
	limits := transport.Limits{High: 1 + r.IntN(20_000)}
	looptest.Do(l, func() {
		if err := client.T.SetWriteBufferLimits(limits); err != nil {
			t.Error(err)
		}
		send()
	})
	looptest.WaitFor(t, l, "the client's end", func() bool { return client.Count("lost") == 1 })
	looptest.Pass(t, l, time.Second)
	n.SetFaults(looptest.Faults{})
	looptest.Pass(t, l, time.Second)
	looptest.Do(l, func() { judgeDatagrams(t, server, client, total, at != "") })
}

// sendSome sends a batch at once, or one by one.
func sendSome(t *testing.T, p *rig.DatagramRecorder, batch []transport.Datagram, atOnce bool) {
	if atOnce {
		if n, err := p.T.(transport.BatchSender).SendBatch(batch); n != len(batch) || err != nil {
			t.Error(n, err)
		}
		return
	}
	for _, d := range batch {
		if err := p.T.SendTo(d.Data, d.Addr); err != nil {
			t.Error(err)
		}
	}
}

// judgeDatagrams looks at what arrived of total datagrams.
func judgeDatagrams(t *testing.T, server, client *rig.DatagramRecorder, total int, exact bool) {
	if client.Count("pause")-client.Count("resume") != 0 || client.LostErr != nil {
		t.Errorf("%d pauses, %d resumes, %v", client.Count("pause"), client.Count("resume"),
			client.LostErr)
	}
	for _, err := range append(client.Errs, server.Errs...) {
		if !errors.Is(err, syscall.ENOMEM) {
			t.Error(err)
		}
	}
	if exact && len(server.Got) != total {
		t.Errorf("%d datagrams of %d", len(server.Got), total)
	}
	for i, g := range server.Got {
		var number int
		if _, err := fmt.Sscanf(g.Data[:min(3, len(g.Data))], "%d", &number); err != nil ||
			exact && number != i || number >= total {
			t.Errorf("datagram %d is %.10q", i, g.Data)
			return
		}
	}
}

// A datagram that comes between ResumeReading and the delivery of what was held
// back waits its turn, though the receive that brings it is being cancelled.
func TestS163_WhatComesAfterAResumeDoesNotOvertakeWhatWasHeld(t *testing.T) {
	faults := looptest.Faults{LateCancel: 1, DelayMax: time.Second}
	n := looptest.New(t, looptest.Options{Seed: 1, Faults: faults})
	server := rig.OpenDatagram(t, n.Loop, &rig.DatagramRecorder{},
		loop.DatagramOptions{LocalPath: "@server"})
	client := rig.OpenDatagram(t, n.Loop, &rig.DatagramRecorder{},
		loop.DatagramOptions{RemotePath: "@server"})
	send := func(text string) {
		if err := client.T.SendTo([]byte(text), rig.Nobody); err != nil {
			t.Error(err)
		}
	}
	// On the loop's own timer, or the cancellation would be over by then.
	looptest.Do(n.Loop, func() {
		server.T.PauseReading()
		send("held")
		n.CallLater(time.Millisecond, func() {
			server.T.ResumeReading()
			send("later")
		})
	})
	rig.WantTexts(t, n.Loop, server, "held", "later")
}
