package datagram_test

import (
	"errors"
	"net"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
)

// oversized is more than a datagram of UDP may have.
var oversized = make([]byte, 65508)

func TestS144_AnEmptyDatagramEndsNothing(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := rig.DatagramPair(t, l)
		server.Received = func(data []byte, from transport.Addr) {
			if len(data) == 0 && (from != rig.AddrOf(client) || !server.T.IsReading()) {
				t.Errorf("an empty datagram from %v, reading %v", from, server.T.IsReading())
			}
		}
		rig.SendAll(t, l, client, rig.Nobody, "", "after it")
		rig.WantTexts(t, l, server, "", "after it")
	})
}

func TestS149_NoBytesAreSentAsAnEmptyDatagram(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		peer, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		p := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{RemoteAddr: peer.LocalAddr().String()})
		for range 2 {
			rig.SendAll(t, l, p, rig.Nobody, "")
			if err := peer.SetReadDeadline(time.Now().Add(looptest.WaitTimeout)); err != nil {
				t.Fatal(err)
			}
			if n, from, err := peer.ReadFrom(make([]byte, 10)); n != 0 || err != nil ||
				from.String() != rig.AddrOf(p).String() {
				t.Errorf("%d bytes from %v, %v", n, from, err)
			}
		}
	})
}

func TestS145_AUnixSenderIsItsPathOrNobody(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		path := filepath.Join(t.TempDir(), "s")
		server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalPath: path})
		named := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalPath: path + "c", RemotePath: path})
		unnamed := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{RemotePath: path})
		rig.SendAll(t, l, named, rig.Nobody, "one")
		rig.WantTexts(t, l, server, "one")
		rig.SendAll(t, l, unnamed, rig.Nobody, "two")
		rig.WantTexts(t, l, server, "one", "two")
		looptest.Do(l, func() {
			if first := server.Got[0].From; first.Path != path+"c" || first.IsValid() {
				t.Errorf("from %+v", first)
			}
			if second := server.Got[1].From; !second.IsZero() {
				t.Errorf("from %+v", second)
			}
		})
	})
}

func TestS155_AnErrorInTheQueueCostsOneDatagramAndNoResume(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		sender := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		to := rig.AddrOf(server)
		looptest.Do(l, func() {
			if err := sender.T.SetWriteBufferLimits(transport.Limits{}); err != nil {
				t.Error(err)
			}
		})
		bad := string(oversized)
		many := append(slices.Repeat([]string{bad}, 20), "five") // more than in one round
		for i, queue := range [][]string{
			{bad}, {bad, "one"}, {"two", bad}, {bad, bad}, {bad, "three", bad, "four", bad}, many,
		} {
			rig.SendAll(t, l, sender, to, queue...)
			looptest.WaitFor(t, l, "ResumeWriting", func() bool { return !sender.T.WritePaused() })
			looptest.Do(l, func() {
				if n := sender.T.WriteBufferSize(); n != 0 || sender.Count("pause") != i+1 ||
					sender.Count("resume") != i+1 {
					t.Errorf("queue %d: %d bytes left, %v", i, n, sender.Events)
				}
			})
		}
		rig.WantTexts(t, l, server, "one", "two", "three", "four", "five")
		looptest.Do(l, func() {
			if len(sender.Errs) != 28 {
				t.Errorf("%d errors: %v", len(sender.Errs), sender.Errs)
			}
		})
	})
}

// On a simulated network no time passes unless something waits.
func TestS155_WhatFollowsAnErrorIsSentAtOnce(t *testing.T) {
	n := looptest.New(t, looptest.Options{Seed: 1})
	server := rig.OpenDatagram(t, n.Loop, &rig.DatagramRecorder{}, rig.AnyPort)
	sender := rig.OpenDatagram(t, n.Loop, &rig.DatagramRecorder{}, rig.AnyPort)
	to := rig.AddrOf(server)
	began, resumed := time.Duration(0), time.Duration(-1)
	sender.Resumed = func() { resumed = n.Time() }
	looptest.Do(n.Loop, func() {
		if err := sender.T.SetWriteBufferLimits(transport.Limits{}); err != nil {
			t.Error(err)
		}
		began = n.Time()
		for _, text := range []string{string(oversized), "one", string(oversized), "two"} {
			if err := sender.T.SendTo([]byte(text), to); err != nil {
				t.Error(err)
			}
		}
	})
	rig.WantTexts(t, n.Loop, server, "one", "two")
	looptest.Do(n.Loop, func() {
		if resumed != began {
			t.Errorf("sent at %v, ResumeWriting at %v", began, resumed)
		}
	})
}

// The datagram that fails is still being sent, alone, when the next one comes.
func TestS155_AnErrorOfADatagramInFlightDoesNotKeepTheNext(t *testing.T) {
	faults := looptest.Faults{Delay: 1, DelayMax: time.Second}
	n := looptest.New(t, looptest.Options{Seed: 1, Faults: faults})
	server := rig.OpenDatagram(t, n.Loop, &rig.DatagramRecorder{}, rig.AnyPort)
	sender := rig.OpenDatagram(t, n.Loop, &rig.DatagramRecorder{}, rig.AnyPort)
	to := rig.AddrOf(server)
	looptest.Do(n.Loop, func() {
		if err := sender.T.SendTo(oversized, to); err != nil {
			t.Error(err)
		}
		n.CallSoon(func() {
			if len(sender.Errs) > 0 {
				t.Error("the datagram has failed already")
			}
			if err := sender.T.SendTo([]byte("the next"), to); err != nil {
				t.Error(err)
			}
		})
	})
	rig.WantTexts(t, n.Loop, server, "the next")
}

func TestS156_ReceivingGoesOnAfterSendingToNobody(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		away := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		p := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		other := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		looptest.Do(l, away.T.Abort)
		looptest.WaitFor(t, l, "its end", func() bool { return away.Count("lost") == 1 })
		for i := range 3 {
			rig.SendAll(t, l, p, rig.AddrOf(away), "anybody there?")
			rig.SendAll(t, l, other, rig.AddrOf(p), "yes")
			looptest.WaitFor(t, l, "an answer", func() bool { return len(p.Got) == i+1 })
		}
		looptest.Do(l, func() {
			if len(p.Errs) > 0 || p.T.IsClosing() {
				t.Errorf("errors %v, closing %v", p.Errs, p.T.IsClosing())
			}
		})
	})
}

func TestS158_TheMarksAreThoseOfStreams(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := rig.DatagramPair(t, l)
		looptest.Do(l, server.T.PauseReading)
		client.Resumed = func() {
			if n := client.T.WriteBufferSize(); n > 16<<10 {
				t.Errorf("resumed at %d bytes", n)
			}
		}
		looptest.Do(l, func() {
			if got := client.T.WriteBufferLimits(); got != transport.DefaultLimits {
				t.Errorf("limits %+v", got)
			}
			send := func(size int) {
				if err := client.T.SendTo(make([]byte, size-8), rig.Nobody); err != nil {
					t.Error(err)
				}
			}
			for range 64 {
				send(1 << 10)
			}
			if n := client.T.WriteBufferSize(); n != 64<<10 || client.T.WritePaused() {
				t.Errorf("at %d bytes: paused %v", n, client.T.WritePaused())
			}
			send(8)
			if !client.T.WritePaused() || client.Count("pause") != 1 {
				t.Errorf("not paused beyond the mark: %v", client.Events)
			}
		})
		looptest.WaitFor(t, l, "ResumeWriting", func() bool { return client.Count("resume") == 1 })
		looptest.Do(l, server.T.ResumeReading)
	})
}

func TestS160_APanicInErrorReceivedReachesNoCaller(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		looptest.Expect(l, "error_received()")
		sending := false
		p := &rig.DatagramRecorder{Failed: func(error) {
			if sending {
				t.Error("ErrorReceived inside SendTo")
			}
			panic("planned")
		}}
		rig.OpenDatagram(t, l, p, rig.AnyPort)
		looptest.Do(l, func() {
			sending = true
			if err := p.T.SendTo(oversized, rig.AddrOf(p)); err != nil {
				t.Error(err)
			}
			sending = false
		})
		looptest.WaitFor(t, l, "the panic", func() bool { return len(p.Errs) == 1 })
		rig.SendAll(t, l, p, rig.AddrOf(p), "and on")
		rig.WantTexts(t, l, p, "and on")
	})
}

func TestS162_SendToAfterTheEndIsErrClosed(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, connected := range []bool{true, false} {
			for _, closes := range []bool{true, false} {
				server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
				o, to := rig.AnyPort, rig.AddrOf(server)
				if connected {
					o, to = loop.DatagramOptions{RemoteAddr: to.String()}, rig.Nobody
				}
				p := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, o)
				closed := func(when string) {
					err := p.T.SendTo([]byte("x"), to)
					batch := []transport.Datagram{{Data: []byte("x"), Addr: to}}
					n, batchErr := p.T.(transport.BatchSender).SendBatch(batch)
					if !errors.Is(err, transport.ErrClosed) || n != 0 ||
						!errors.Is(batchErr, transport.ErrClosed) {
						t.Errorf("connected %v, %s: %v; %d, %v", connected, when, err, n, batchErr)
					}
				}
				rig.SendAll(t, l, p, to, "before the end")
				looptest.Do(l, func() {
					if err := p.T.SendTo([]byte("queued"), to); err != nil {
						t.Error(err)
					}
					if closes {
						p.T.Close()
						closed("while closing")
						return
					}
					p.T.Abort()
					closed("after Abort")
				})
				looptest.WaitFor(t, l, "the end", func() bool { return p.Count("lost") == 1 })
				looptest.Do(l, func() { closed("after ConnectionLost") })
			}
		}
	})
}

func TestS163_PauseReadingHoldsDatagramsBack(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := rig.DatagramPair(t, l)
		rig.SendAll(t, l, client, rig.Nobody, "before")
		rig.WantTexts(t, l, server, "before")
		looptest.Do(l, func() {
			server.T.PauseReading()
			server.T.PauseReading()
		})
		rig.SendAll(t, l, client, rig.Nobody, "one", "two")
		rig.SendAll(t, l, client, rig.Nobody, "three")
		looptest.Pass(t, l, 10*time.Millisecond)
		looptest.Do(l, func() {
			if server.T.IsReading() || len(server.Got) != 1 {
				t.Errorf("reading %v, received %v", server.T.IsReading(), server.Texts())
			}
			server.T.ResumeReading()
			if !server.T.IsReading() || len(server.Got) != 1 {
				t.Errorf("inside ResumeReading: reading %v, received %v", server.T.IsReading(),
					server.Texts())
			}
		})
		rig.WantTexts(t, l, server, "before", "one", "two", "three")
		looptest.Do(l, func() {
			server.T.Close()
			if server.T.IsReading() {
				t.Error("reading after Close")
			}
		})
	})
}

func TestS167_WithoutAFamilyInCommonItIsErrNoAddress(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, o := range []loop.DatagramOptions{
			{LocalAddr: "127.0.0.1:0", RemoteAddr: "[::1]:9"},
			{LocalAddr: "[::1]:0", RemoteAddr: "127.0.0.1:9"},
			{LocalAddr: "127.0.0.1:0", Network: "udp6"},
		} {
			_, err := l.CreateDatagramEndpoint(rig.WithTimeout(t), &rig.DatagramRecorder{}, &o)
			if !errors.Is(err, loop.ErrNoAddress) {
				t.Errorf("%+v: %v", o, err)
			}
		}
		for remote, local := range map[string]string{"127.0.0.1:9": "0.0.0.0", "[::1]:9": "::"} {
			p := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
				loop.DatagramOptions{LocalAddr: ":0", RemoteAddr: remote})
			peer, name := transport.PeerName(p.T), transport.SockName(p.T).(*net.UDPAddr)
			four := name.IP.To4() != nil
			if peer == nil || peer.String() != remote || four != (local == "0.0.0.0") {
				t.Errorf("from %v to %v, want to %s", name, peer, remote)
			}
		}
	})
}

func TestS170_ASocketHasAPeerOrNot(t *testing.T) {
	for network, ip := range map[string]net.IP{"udp4": net.IPv4(127, 0, 0, 1),
		"udp6": net.IPv6loopback} {
		t.Run(network, func(t *testing.T) { socketHasAPeerOrNot(t, network, ip) })
	}
}

func socketHasAPeerOrNot(t *testing.T, network string, ip net.IP) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		free, err := net.ListenUDP(network, &net.UDPAddr{IP: ip})
		if err != nil {
			t.Fatal(err)
		}
		defer free.Close()
		f, err := free.File()
		if err != nil {
			t.Fatal(err)
		}
		p := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, loop.DatagramOptions{Sock: f})
		bound, err := net.DialUDP(network, nil, free.LocalAddr().(*net.UDPAddr))
		if err != nil {
			t.Fatal(err)
		}
		defer bound.Close()
		if f, err = bound.File(); err != nil {
			t.Fatal(err)
		}
		q := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, loop.DatagramOptions{Sock: f})
		looptest.Do(l, func() {
			if err := p.T.SendTo([]byte("x"), rig.Nobody); !errors.Is(err,
				transport.ErrNoDestination) || transport.PeerName(p.T) != nil {
				t.Errorf("without a peer: %v, peername %v", err, transport.PeerName(p.T))
			}
			if err := q.T.SendTo([]byte("x"), rig.AddrOf(q)); !errors.Is(err,
				transport.ErrAddrMismatch) || transport.PeerName(q.T) == nil {
				t.Errorf("with a peer: %v, peername %v", err, transport.PeerName(q.T))
			}
		})
		rig.SendAll(t, l, q, rig.Nobody, "to the peer")
		rig.WantTexts(t, l, p, "to the peer")
	})
}

func TestS171_WhatIsNotAskedForIsOff(t *testing.T) {
	const reusePort = 15 // SO_REUSEPORT
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		for _, asked := range []int{0, 1} {
			p := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
				loop.DatagramOptions{LocalAddr: "127.0.0.1:0",
					ReusePort: asked == 1, Broadcast: asked == 1})
			s, _ := transport.Socket(p.T)
			_ = s.Control(func(fd uintptr) {
				for option, want := range map[int]int{syscall.SO_REUSEADDR: 0,
					reusePort: asked, syscall.SO_BROADCAST: asked} {
					got, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, option)
					if got != want || err != nil {
						t.Errorf("option %d is %d, want %d: %v", option, got, want, err)
					}
				}
			})
		}
	})
}
