package datagram_test

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
)

func TestS169_BroadcastReachesWhoListensEverywhere(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalAddr: ":0"})
		port := rig.AddrOf(server).Port()
		to := transport.Addr{AddrPort: netip.AddrPortFrom(
			netip.MustParseAddr("127.255.255.255"), port)}
		client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalAddr: "127.0.0.1:0", Broadcast: true})
		rig.SendAll(t, l, client, to, "to everybody")
		rig.WantTexts(t, l, server, "to everybody")
		def := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalAddr: "127.0.0.1:0",
				RemoteAddr: to.String(), Broadcast: true})
		rig.SendAll(t, l, def, rig.Nobody, "to the default destination")
		rig.WantTexts(t, l, server, "to everybody", "to the default destination")
	})
}

// multicast6 is an interface that IPv6 multicast is routed to, which the loopback
// interface is not. What is sent to a group of interface-local scope stays on this
// machine all the same.
func multicast6(t *testing.T) string {
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	const flags = net.FlagUp | net.FlagMulticast
	for _, in := range all {
		addrs, _ := in.Addrs()
		for _, a := range addrs {
			n, ok := a.(*net.IPNet)
			if ok && n.IP.To4() == nil && in.Flags&flags == flags {
				return in.Name
			}
		}
	}
	t.Skip("needs an interface with IPv6 multicast")
	return ""
}

func TestIPv6MulticastReachesAllMembers(t *testing.T) {
	group, on := netip.MustParseAddr("ff01::5:77"), multicast6(t)
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		o := loop.DatagramOptions{LocalAddr: "[::]:0", JoinGroups: []netip.Addr{group},
			Interface: on, ReusePort: true}
		a := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, o)
		o.LocalAddr = fmt.Sprintf("[::]:%d", rig.AddrOf(a).Port())
		b := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, o)
		sender := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalAddr: "[::]:0",
				Interface: on, MulticastTTL: 1})
		to := transport.Addr{AddrPort: netip.AddrPortFrom(group, rig.AddrOf(a).Port())}
		rig.SendAll(t, l, sender, to, "to all", "members")
		rig.WantTexts(t, l, a, "to all", "members")
		rig.WantTexts(t, l, b, "to all", "members")
	})
}

func TestS171_ReusePortSpreadsTheSenders(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		o := loop.DatagramOptions{LocalAddr: "127.0.0.1:0", ReusePort: true}
		a := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, o)
		o.LocalAddr = rig.AddrOf(a).String()
		b := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, o)
		const senders = 64 // of which one endpoint gets all with 1 in 2^63
		for range senders {
			c, err := net.Dial("udp", o.LocalAddr)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write([]byte("x")); err != nil {
				t.Error(err)
			}
			c.Close()
		}
		looptest.WaitFor(t, l, "all", func() bool { return len(a.Got)+len(b.Got) == senders })
		looptest.Do(l, func() {
			if len(a.Got) == 0 || len(b.Got) == 0 {
				t.Errorf("%d and %d datagrams", len(a.Got), len(b.Got))
			}
		})
	})
}

func TestS158_AFullSendBufferHoldsDatagramsBackAndLosesNone(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for _, gso := range []bool{false, true} {
		n := looptest.New(t, looptest.Options{Seed: 1})
		server := rig.OpenDatagram(t, n.Loop, &rig.DatagramRecorder{}, rig.AnyPort)
		client := rig.OpenDatagram(t, n.Loop, &rig.DatagramRecorder{}, loop.DatagramOptions{
			LocalAddr: "127.0.0.1:0", SendBuffer: 6000, GSO: gso})
		want := append(numbered(300, 1000), numbered(3, 700)...)
		// In the round after the one that sent: later the buffer may be empty again.
		check := func() {
			if client.T.WriteBufferSize() == 0 || !client.T.WritePaused() {
				t.Errorf("%d bytes wait, events %v", client.T.WriteBufferSize(), client.Events)
			}
			client.T.Close()
		}
		looptest.Do(n.Loop, func() {
			batch := batchTo(rig.AddrOf(server), want...)
			if _, err := client.T.(transport.BatchSender).SendBatch(batch); err != nil {
				t.Error(err)
			}
			n.CallSoon(check)
		})
		rig.WantTexts(t, n.Loop, server, want...)
		looptest.WaitFor(t, n.Loop, "the end", func() bool { return client.Count("lost") == 1 })
		looptest.Do(n.Loop, func() {
			if client.LostErr != nil || client.Count("resume") != 1 || len(client.Errs) > 0 {
				t.Error(client.LostErr, client.Events, client.Errs)
			}
		})
	}
}

// A datagram of 1016 bytes counts 1024, and the kernel takes one at a time: both marks are
// met exactly.
func TestS158_PausesAboveHighAndResumesAtLow(t *testing.T) {
	n := looptest.New(t, looptest.Options{Seed: 1})
	server := rig.OpenDatagram(t, n.Loop, &rig.DatagramRecorder{}, rig.AnyPort)
	client := rig.OpenDatagram(t, n.Loop, &rig.DatagramRecorder{}, loop.DatagramOptions{
		LocalAddr: "127.0.0.1:0", SendBuffer: 1500})
	var paused, resumed []int
	client.Paused = func() { paused = append(paused, client.T.WriteBufferSize()) }
	client.Resumed = func() { resumed = append(resumed, client.T.WriteBufferSize()) }
	all := numbered(80, 1016)
	rig.SendAll(t, n.Loop, client, rig.AddrOf(server), all...)
	rig.WantTexts(t, n.Loop, server, all...)
	looptest.Do(n.Loop, func() {
		if !slices.Equal(paused, []int{65 << 10}) || !slices.Equal(resumed, []int{16 << 10}) {
			t.Errorf("paused at %d bytes, resumed at %d", paused, resumed)
		}
	})
}

// A receive buffer of a size that was set drops what does not fit; what is read in
// time is not affected.
func TestAFullReceiveBufferDropsAndGoesOn(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalAddr: "127.0.0.1:0", ReceiveBuffer: 4000, GRO: true})
		client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalAddr: "127.0.0.1:0", GSO: true})
		looptest.Do(l, server.T.PauseReading)
		rig.SendAll(t, l, client, rig.AddrOf(server), numbered(100, 1000)...)
		looptest.Pass(t, l, 5*time.Millisecond)
		rig.SendAll(t, l, client, rig.AddrOf(server), numbered(100, 1000)...)
		looptest.Pass(t, l, 5*time.Millisecond)
		looptest.Do(l, server.T.ResumeReading)
		looptest.Pass(t, l, 5*time.Millisecond)
		rig.SendAll(t, l, client, rig.AddrOf(server), "and on")
		looptest.WaitFor(t, l, "what comes later", func() bool {
			return len(server.Got) > 0 && server.Got[len(server.Got)-1].Data == "and on"
		})
		looptest.Do(l, func() {
			if len(server.Got) > 199 || len(server.Errs)+len(client.Errs) > 0 {
				t.Errorf("%d datagrams, errors %v %v", len(server.Got), server.Errs, client.Errs)
			}
		})
	})
}
