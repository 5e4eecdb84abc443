package datagram_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// numbered are n different datagrams.
func numbered(n, size int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%06d%s", i, strings.Repeat("x", size-6))
	}
	return out
}

func TestS143_DatagramsArriveOneByOneInOrderAlsoEmptyOnes(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := rig.DatagramPair(t, l)
		want := append(numbered(100, 40), "", "x", "", "")
		rig.SendAll(t, l, client, rig.Nobody, want...)
		rig.WantTexts(t, l, server, want...)
		rig.SendAll(t, l, client, rig.Nobody, "alone")
		rig.WantTexts(t, l, server, append(want, "alone")...)
	})
}

func TestS145_TheSenderIsAValueToAnswerTo(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", "zone"} {
		t.Run(addr, func(t *testing.T) {
			zone := addr == "zone"
			if zone {
				addr = netip.AddrPortFrom(rig.LinkLocal(t), 0).String()
			}
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
				if zone && l.Engine().String() == "sim" {
					t.Skip("needs the interfaces of the kernel")
				}
				server := &rig.DatagramRecorder{}
				server.Received = func(data []byte, from transport.Addr) {
					if err := server.T.SendTo(data, from); err != nil {
						t.Error(err)
					}
				}
				rig.OpenDatagram(t, l, server, loop.DatagramOptions{LocalAddr: addr})
				client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
					loop.DatagramOptions{RemoteAddr: rig.AddrOf(server).String()})
				rig.SendAll(t, l, client, rig.Nobody, "there and back")
				rig.WantTexts(t, l, client, "there and back")
				looptest.Do(l, func() {
					if server.Got[0].From != rig.AddrOf(client) ||
						client.Got[0].From != rig.AddrOf(server) {
						t.Errorf("from %v, and from %v", server.Got[0].From, client.Got[0].From)
					}
					if got := server.Got[0].From.Addr().Zone(); (got != "") != zone {
						t.Errorf("from the zone %q", got)
					}
				})
			})
		})
	}
}

// With GSO and GRO the datagrams come in one piece, and otherwise one by one.
func TestS146_PauseAndCloseAreSeenBetweenDatagramsOfABatch(t *testing.T) {
	for _, offload := range []bool{false, true} {
		t.Run(fmt.Sprint("offload ", offload), func(t *testing.T) {
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
				pauseAndCloseInABatch(t, l, offload)
				closeInABatch(t, l, offload)
			})
		})
	}
}

// pauseAndCloseInABatch pauses after 3 and after 6 of 30 datagrams, and closes after 10.
func pauseAndCloseInABatch(t *testing.T, l *loop.Loop, offload bool) {
	server := &rig.DatagramRecorder{}
	server.Received = func(_ []byte, from transport.Addr) {
		switch len(server.Got) {
		case 3, 6:
			server.T.PauseReading()
		case 10: // there is something to send, so that it is not lost at once
			if err := server.T.SendTo([]byte("the last word"), from); err != nil {
				t.Error(err)
			}
			server.T.Close()
		}
	}
	rig.OpenDatagram(t, l, server, loop.DatagramOptions{LocalAddr: "127.0.0.1:0", GRO: offload})
	client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
		loop.DatagramOptions{RemoteAddr: rig.AddrOf(server).String(), GSO: offload})
	all := numbered(30, 20)
	rig.SendAll(t, l, client, rig.Nobody, all...)
	for _, taken := range []int{3, 6} {
		rig.WantTexts(t, l, server, all[:taken]...)
		looptest.Pass(t, l, 20*time.Millisecond)
		rig.WantTexts(t, l, server, all[:taken]...)
		looptest.Do(l, func() {
			if server.T.IsReading() {
				t.Error("IsReading while paused")
			}
			server.T.ResumeReading()
			if len(server.Got) != taken || !server.T.IsReading() {
				t.Error("delivered from inside ResumeReading, or not reading after it")
			}
		})
	}
	looptest.WaitFor(t, l, "ConnectionLost", func() bool { return server.Count("lost") == 1 })
	rig.WantTexts(t, l, server, all[:10]...)
	rig.WantTexts(t, l, client, "the last word")
}

// closeInABatch closes after 3 of 30 datagrams, with something to send, so that the
// endpoint is not lost at once.
func closeInABatch(t *testing.T, l *loop.Loop, offload bool) {
	server := &rig.DatagramRecorder{}
	server.Received = func(_ []byte, from transport.Addr) {
		if len(server.Got) == 3 {
			if err := server.T.SendTo([]byte("the last word"), from); err != nil {
				t.Error(err)
			}
			server.T.Close()
		}
	}
	rig.OpenDatagram(t, l, server, loop.DatagramOptions{LocalAddr: "127.0.0.1:0", GRO: offload})
	client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
		loop.DatagramOptions{RemoteAddr: rig.AddrOf(server).String(), GSO: offload})
	all := numbered(30, 20)
	rig.SendAll(t, l, client, rig.Nobody, all...)
	looptest.WaitFor(t, l, "ConnectionLost", func() bool { return server.Count("lost") == 1 })
	rig.WantTexts(t, l, server, all[:3]...)
	rig.WantTexts(t, l, client, "the last word")
}

func TestS164_WhatCameInOneBatchEndsWithClose(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := &rig.DatagramRecorder{}
		server.Received = func(_ []byte, from transport.Addr) {
			if len(server.Got) == 10 {
				if err := server.T.SendTo([]byte("the last word"), from); err != nil {
					t.Error(err)
				}
				server.T.Close()
			}
		}
		rig.OpenDatagram(t, l, server, rig.AnyPort)
		client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		all := numbered(30, 20)
		rig.SendAll(t, l, client, rig.AddrOf(server), all...)
		looptest.WaitFor(t, l, "ConnectionLost", func() bool { return server.Count("lost") == 1 })
		rig.WantTexts(t, l, server, all[:10]...)
		rig.WantTexts(t, l, client, "the last word")
	})
}

func TestS147_ATruncatedDatagramIsAnErrorAndNotADatagram(t *testing.T) {
	o := loop.Options{Buffers: loop.BufferOptions{Size: 512, Max: 16}}
	looptest.EnginesWith(t, o, func(t *testing.T, l *loop.Loop) {
		server := &rig.DatagramRecorder{}
		rest := ""
		server.Failed = func(err error) {
			if cut, ok := errors.AsType[*transport.TruncatedError](err); ok {
				rest = string(cut.Data)
				if cut.Addr.IsZero() || cut.Size != 2000 {
					t.Errorf("%d bytes from %v: %v", cut.Size, cut.Addr, err)
				}
			}
		}
		rig.OpenDatagram(t, l, server, rig.AnyPort)
		client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{RemoteAddr: rig.AddrOf(server).String()})
		long := numbered(1, 2000)[0]
		rig.SendAll(t, l, client, rig.Nobody, "before", long, strings.Repeat("y", 512))
		rig.WantTexts(t, l, server, "before", strings.Repeat("y", 512))
		looptest.Do(l, func() {
			if len(server.Errs) != 1 || !errors.Is(server.Errs[0], transport.ErrTruncated) {
				t.Errorf("errors: %v", server.Errs)
			}
			if rest != long[:512] {
				t.Errorf("%d bytes of it: %.20q", len(rest), rest)
			}
		})
	})
}

func TestS147_TheLongestDatagramArrivesWholeByDefault(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := rig.DatagramPair(t, l)
		long := numbered(2, 65507)
		rig.SendAll(t, l, client, rig.Nobody, long[0])
		rig.WantTexts(t, l, server, long[0])
		rig.SendAll(t, l, client, rig.Nobody, long[1], "x")
		rig.WantTexts(t, l, server, long[0], long[1], "x")
	})
}

func TestS148_SendToCopiesItsArgumentAndMergesNothing(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := rig.DatagramPair(t, l)
		looptest.Do(l, func() {
			buf := make([]byte, 4)
			for _, s := range []string{"abcd", "efgh", "ijkl"} {
				copy(buf, s)
				if err := client.T.SendTo(buf, rig.Nobody); err != nil {
					t.Error(err)
				}
			}
			clear(buf)
		})
		rig.WantTexts(t, l, server, "abcd", "efgh", "ijkl")
	})
}

// A large datagram gets memory of its own; only Unix sockets can send one this large.
func TestS148_SendToCopiesALargeArgument(t *testing.T) {
	o := loop.Options{Buffers: loop.BufferOptions{Size: 128 << 10, Max: 16}}
	looptest.EnginesWith(t, o, func(t *testing.T, l *loop.Loop) {
		if l.Engine().String() == "sim" {
			t.Skip("needs datagrams that are longer than those of IP")
		}
		server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalPath: "@" + t.Name()})
		client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{RemotePath: "@" + t.Name()})
		want := strings.Repeat("x", 100<<10)
		looptest.Do(l, func() {
			buf := []byte(want)
			if err := client.T.SendTo(buf, rig.Nobody); err != nil {
				t.Error(err)
			}
			clear(buf)
		})
		rig.WantTexts(t, l, server, want)
	})
}

func TestS150_AnotherAddressThanThePeersIsErrAddrMismatch(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := rig.DatagramPair(t, l)
		looptest.Do(l, func() {
			err := client.T.SendTo([]byte("x"), rig.AddrOf(client))
			if !errors.Is(err, transport.ErrAddrMismatch) {
				t.Error(err)
			}
		})
		mapped := rig.AddrOf(server)
		mapped.AddrPort = netip.AddrPortFrom(netip.AddrFrom16(mapped.Addr().As16()), mapped.Port())
		rig.SendAll(t, l, client, rig.AddrOf(server), "to the peer by name")
		rig.SendAll(t, l, client, mapped, "and by another one")
		rig.WantTexts(t, l, server, "to the peer by name", "and by another one")
	})
}

func TestS151_NoAddressAndNoPeerIsErrNoDestination(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		p := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		looptest.Do(l, func() {
			if err := p.T.SendTo([]byte("x"), rig.Nobody); !errors.Is(err,
				transport.ErrNoDestination) {
				t.Error(err)
			}
			if n := p.T.WriteBufferSize(); n != 0 {
				t.Errorf("%d bytes are buffered", n)
			}
		})
		rig.SendAll(t, l, p, rig.AddrOf(p), "to myself")
		rig.WantTexts(t, l, p, "to myself")
	})
}

func TestS152_ADatagramThatFailsIsDroppedAndNoOther(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		sender := &rig.DatagramRecorder{}
		sending := false
		sender.Failed = func(error) {
			if sending {
				t.Error("ErrorReceived from inside SendTo")
			}
		}
		rig.OpenDatagram(t, l, sender, rig.AnyPort)
		to := rig.AddrOf(server)
		oversized := make([]byte, 65508)
		looptest.Do(l, func() {
			sending = true
			for i, s := range numbered(100, 10) {
				if i%25 == 10 {
					if err := sender.T.SendTo(oversized, to); err != nil {
						t.Error(err)
					}
				}
				if err := sender.T.SendTo([]byte(s), to); err != nil {
					t.Error(err)
				}
			}
			if !sender.T.WritePaused() {
				t.Error("not paused by all this")
			}
			sending = false
		})
		rig.WantTexts(t, l, server, numbered(100, 10)...)
		rig.SendAll(t, l, sender, to, string(oversized))
		looptest.WaitFor(t, l, "the fifth error", func() bool { return len(sender.Errs) == 5 })
		looptest.Do(l, func() {
			for _, err := range sender.Errs {
				op, ok := errors.AsType[*net.OpError](err)
				if !ok || !errors.Is(err, syscall.EMSGSIZE) || op.Addr.String() != to.String() {
					t.Errorf("%T %v", err, err)
				}
			}
			if sender.T.WritePaused() || sender.Count("resume") != 1 {
				t.Error("not resumed", sender.Events)
			}
			if n := sender.T.WriteBufferSize(); n != 0 {
				t.Errorf("%d bytes are buffered", n)
			}
		})
		rig.SendAll(t, l, server, rig.AddrOf(sender), "still there")
		rig.WantTexts(t, l, sender, "still there")
	})
}

func TestS153_ConnectionRefusedIsReportedAndReceivingGoesOn(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := rig.DatagramPair(t, l)
		at := rig.AddrOf(server)
		looptest.Do(l, server.T.Abort)
		looptest.WaitFor(t, l, "the server's end", func() bool {
			return server.T.Protocol() == nil
		})
		for want := range 3 {
			rig.SendAll(t, l, client, rig.Nobody, "anybody there?")
			looptest.WaitFor(t, l, "an error", func() bool { return len(client.Errs) > want })
		}
		looptest.Do(l, func() {
			for _, err := range client.Errs {
				if !errors.Is(err, syscall.ECONNREFUSED) {
					t.Error(err)
				}
			}
		})
		again := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalAddr: at.String()})
		rig.SendAll(t, l, again, rig.AddrOf(client), "yes")
		rig.WantTexts(t, l, client, "yes")
	})
}

func TestS157_EachDatagramCountsEightBytesMore(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := rig.DatagramPair(t, l)
		looptest.Do(l, func() {
			err := client.T.SetWriteBufferLimits(transport.Limits{High: 40})
			if err != nil {
				t.Error(err)
			}
			for i, size := range []int{8, 16, 24, 32, 40} {
				if err := client.T.SendTo(nil, rig.Nobody); err != nil {
					t.Error(err)
				}
				if n := client.T.WriteBufferSize(); n != size {
					t.Errorf("%d empty datagrams count %d, want %d", i+1, n, size)
				}
			}
			if client.T.WritePaused() {
				t.Error("paused at the mark, not beyond it")
			}
			if err := client.T.SendTo([]byte("x"), rig.Nobody); err != nil {
				t.Error(err)
			}
			if n := client.T.WriteBufferSize(); n != 49 || !client.T.WritePaused() {
				t.Errorf("%d bytes, paused: %v", n, client.T.WritePaused())
			}
			if err := client.T.SetWriteBufferLimits(transport.Limits{High: 1, Low: 2}); err == nil {
				t.Error("High below Low is taken")
			}
		})
		rig.WantTexts(t, l, server, "", "", "", "", "", "x")
		looptest.WaitFor(t, l, "ResumeWriting", func() bool { return client.Count("resume") == 1 })
		looptest.Do(l, func() {
			if n := client.T.WriteBufferSize(); n != 0 || client.Count("pause") != 1 {
				t.Errorf("%d bytes left; %v", n, client.Events)
			}
		})
	})
}

func TestS159_PanicsAreReportedAndTheEndpointGoesOn(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, part := range []string{"datagram_received()", "datagram_received()",
			"error_received()", "pause_writing()", "resume_writing()"} {
			looptest.Expect(l, part)
		}
		boom := func() { panic("planned") }
		p := &rig.DatagramRecorder{Paused: boom, Resumed: boom}
		p.Received = func([]byte, transport.Addr) { boom() }
		p.Failed = func(error) { boom() }
		rig.OpenDatagram(t, l, p, rig.AnyPort)
		looptest.Do(l, func() {
			if err := p.T.SendTo(make([]byte, 70_000), rig.AddrOf(p)); err != nil {
				t.Error(err)
			}
		})
		rig.SendAll(t, l, p, rig.AddrOf(p), "one", "two")
		rig.WantTexts(t, l, p, "one", "two")
		looptest.WaitFor(t, l, "five reports", func() bool {
			return len(looptest.Exceptions(l)) == 5
		})
		looptest.Do(l, func() {
			for _, e := range looptest.Exceptions(l) {
				if _, ok := errors.AsType[*protocol.PanicError](e.Err); !ok || e.Transport != p.T {
					t.Errorf("%+v", e)
				}
			}
			if p.T.IsClosing() {
				t.Error("closing")
			}
		})
	})
}

func TestS015_APanicInConnectionMadeEndsADatagramEndpoint(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		looptest.Expect(l, "connection_made()")
		p := &rig.DatagramRecorder{Made: func() { panic("planned") }}
		_, err := l.CreateDatagramEndpoint(rig.WithTimeout(t), p, &rig.AnyPort)
		if _, ok := errors.AsType[*protocol.PanicError](err); !ok {
			t.Error(err)
		}
		looptest.WaitFor(t, l, "ConnectionLost", func() bool { return p.Count("lost") == 1 })
		looptest.Do(l, func() {
			if p.LostErr != err {
				t.Error(p.LostErr)
			}
		})
	})
}

func TestS161_CloseSendsWhatIsQueuedAndAbortDropsIt(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		for _, end := range []string{"close", "abort"} {
			client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
				loop.DatagramOptions{RemoteAddr: rig.AddrOf(server).String()})
			looptest.Do(l, func() {
				for _, s := range numbered(20, 30) {
					if err := client.T.SendTo([]byte(end+s), rig.Nobody); err != nil {
						t.Error(err)
					}
				}
				if end == "abort" {
					client.T.Abort()
				}
				client.T.Close()
				client.T.Close()
				if client.Count("lost") != 0 || !client.T.IsClosing() || client.T.IsReading() {
					t.Error("ConnectionLost inside Close, or not closing")
				}
				if err := client.T.SendTo([]byte("x"), rig.Nobody); !errors.Is(err, net.ErrClosed) {
					t.Error("SendTo while closing:", err)
				}
				if n := client.T.WriteBufferSize(); (n == 0) != (end == "abort") {
					t.Errorf("%s: %d bytes are buffered", end, n)
				}
			})
			looptest.WaitFor(t, l, "ConnectionLost", func() bool {
				return client.Count("lost") == 1
			})
			looptest.Do(l, func() {
				if client.LostErr != nil || client.T.Protocol() != nil {
					t.Error(client.LostErr, client.T.Protocol())
				}
				if err := client.T.SendTo(nil, rig.Nobody); !errors.Is(err, transport.ErrClosed) {
					t.Error("SendTo after ConnectionLost:", err)
				}
				if err := client.T.SetProtocol(client); !errors.Is(err, transport.ErrClosed) {
					t.Error("SetProtocol after ConnectionLost:", err)
				}
				client.T.Abort()
				client.T.PauseReading()
				client.T.ResumeReading()
			})
		}
		rig.SendAll(t, l, server, rig.AddrOf(server), "the end")
		want := numbered(20, 30)
		for i := range want {
			want[i] = "close" + want[i]
		}
		rig.WantTexts(t, l, server, append(want, "the end")...)
	})
}

func TestS009_ConnectionLostIsNotNestedEvenWithNothingInFlight(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, end := range []string{"close", "abort"} {
			client, server := rig.DatagramPair(t, l)
			looptest.Do(l, server.T.PauseReading)
			rig.SendAll(t, l, client, rig.Nobody, "held back, which ends the receive")
			looptest.Pass(t, l, 10*time.Millisecond)
			looptest.Do(l, func() {
				if end == "close" {
					server.T.Close()
				} else {
					server.T.Abort()
				}
				if server.Count("lost") > 0 {
					t.Errorf("ConnectionLost from inside %s", end)
				}
			})
			looptest.WaitFor(t, l, "ConnectionLost", func() bool {
				return server.Count("lost") == 1
			})
		}
	})
}
