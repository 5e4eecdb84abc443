package loop_test

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

// statements: 144, 149
func TestS143_DatagramsArriveOneByOneInOrderAlsoEmptyOnes(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := correspondents(t, l)
		want := append(numbered(100, 40), "", "x", "", "")
		sendAll(t, l, client, nobody, want...)
		wantTexts(t, l, server, want...)
		sendAll(t, l, client, nobody, "alone")
		wantTexts(t, l, server, append(want, "alone")...)
	})
}

func TestS145_TheSenderIsAValueToAnswerTo(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
				server := &postman{}
				server.received = func(data []byte, from transport.Addr) {
					if err := server.t.SendTo(data, from); err != nil {
						t.Error(err)
					}
				}
				office(t, l, server, loop.DatagramOptions{LocalAddr: addr})
				client := office(t, l, &postman{},
					loop.DatagramOptions{RemoteAddr: here(server).String()})
				sendAll(t, l, client, nobody, "there and back")
				wantTexts(t, l, client, "there and back")
				looptest.Do(l, func() {
					if server.got[0].from != here(client) || client.got[0].from != here(server) {
						t.Errorf("from %v, and from %v", server.got[0].from, client.got[0].from)
					}
				})
			})
		})
	}
}

// statements: 163, 164
func TestS146_PauseAndCloseAreSeenBetweenDatagramsOfABatch(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := &postman{}
		server.received = func(_ []byte, from transport.Addr) {
			switch len(server.got) {
			case 3:
				server.t.PauseReading()
			case 10: // there is something to send, so that it is not lost at once
				if err := server.t.SendTo([]byte("the last word"), from); err != nil {
					t.Error(err)
				}
				server.t.Close()
			}
		}
		office(t, l, server, anyPort)
		client := office(t, l, &postman{},
			loop.DatagramOptions{RemoteAddr: here(server).String()})
		all := numbered(30, 20)
		sendAll(t, l, client, nobody, all...)
		wantTexts(t, l, server, all[:3]...)
		looptest.Pass(t, l, 20*time.Millisecond)
		wantTexts(t, l, server, all[:3]...)
		looptest.Do(l, func() {
			if server.t.IsReading() {
				t.Error("IsReading while paused")
			}
			server.t.ResumeReading()
			if len(server.got) != 3 || !server.t.IsReading() {
				t.Error("delivered from inside ResumeReading, or not reading after it")
			}
		})
		looptest.WaitFor(t, l, "ConnectionLost", func() bool { return server.count("lost") == 1 })
		wantTexts(t, l, server, all[:10]...)
		wantTexts(t, l, client, "the last word")
	})
}

func TestS164_WhatCameInOneBatchEndsWithClose(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := &postman{}
		server.received = func(_ []byte, from transport.Addr) {
			if len(server.got) == 10 {
				if err := server.t.SendTo([]byte("the last word"), from); err != nil {
					t.Error(err)
				}
				server.t.Close()
			}
		}
		office(t, l, server, anyPort)
		client := office(t, l, &postman{}, anyPort)
		all := numbered(30, 20)
		sendAll(t, l, client, here(server), all...)
		looptest.WaitFor(t, l, "ConnectionLost", func() bool { return server.count("lost") == 1 })
		wantTexts(t, l, server, all[:10]...)
		wantTexts(t, l, client, "the last word")
	})
}

func TestS147_ATruncatedDatagramIsAnErrorAndNoDatagram(t *testing.T) {
	o := loop.Options{Buffers: loop.BufferOptions{Size: 512, Max: 16}}
	looptest.EnginesWith(t, o, func(t *testing.T, l *loop.Loop) {
		server := &postman{}
		rest := ""
		server.failed = func(err error) {
			if cut, ok := errors.AsType[*transport.TruncatedError](err); ok {
				rest = string(cut.Data)
				if cut.Addr.IsZero() || cut.Size != 2000 {
					t.Errorf("%d bytes from %v: %v", cut.Size, cut.Addr, err)
				}
			}
		}
		office(t, l, server, anyPort)
		client := office(t, l, &postman{},
			loop.DatagramOptions{RemoteAddr: here(server).String()})
		long := numbered(1, 2000)[0]
		sendAll(t, l, client, nobody, "before", long, strings.Repeat("y", 512))
		wantTexts(t, l, server, "before", strings.Repeat("y", 512))
		looptest.Do(l, func() {
			if len(server.errs) != 1 || !errors.Is(server.errs[0], transport.ErrTruncated) {
				t.Errorf("errors: %v", server.errs)
			}
			if rest != long[:512] {
				t.Errorf("%d bytes of it: %.20q", len(rest), rest)
			}
		})
	})
}

func TestTheLongestDatagramArrivesWhole(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := correspondents(t, l)
		long := numbered(2, 65507)
		sendAll(t, l, client, nobody, long[0])
		wantTexts(t, l, server, long[0])
		sendAll(t, l, client, nobody, long[1], "x")
		wantTexts(t, l, server, long[0], long[1], "x")
	})
}

func TestS148_SendToKeepsNothingOfItsArgumentAndMergesNothing(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := correspondents(t, l)
		looptest.Do(l, func() {
			buf := make([]byte, 4)
			for _, s := range []string{"abcd", "efgh", "ijkl"} {
				copy(buf, s)
				if err := client.t.SendTo(buf, nobody); err != nil {
					t.Error(err)
				}
			}
			clear(buf)
		})
		wantTexts(t, l, server, "abcd", "efgh", "ijkl")
	})
}

// Large ones lie in memory of their own; only Unix sockets send datagrams as large.
func TestS148_SendToKeepsNothingOfALargeArgument(t *testing.T) {
	o := loop.Options{Buffers: loop.BufferOptions{Size: 128 << 10, Max: 16}}
	looptest.EnginesWith(t, o, func(t *testing.T, l *loop.Loop) {
		if l.Engine().String() == "sim" {
			t.Skip("needs datagrams that are longer than those of IP")
		}
		server := office(t, l, &postman{}, loop.DatagramOptions{LocalPath: "@" + t.Name()})
		client := office(t, l, &postman{}, loop.DatagramOptions{RemotePath: "@" + t.Name()})
		want := strings.Repeat("x", 100<<10)
		looptest.Do(l, func() {
			buf := []byte(want)
			if err := client.t.SendTo(buf, nobody); err != nil {
				t.Error(err)
			}
			clear(buf)
		})
		wantTexts(t, l, server, want)
	})
}

func TestS150_AnotherAddressThanThePeersIsErrAddrMismatch(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := correspondents(t, l)
		looptest.Do(l, func() {
			err := client.t.SendTo([]byte("x"), here(client))
			if !errors.Is(err, transport.ErrAddrMismatch) {
				t.Error(err)
			}
		})
		mapped := here(server)
		mapped.AddrPort = netip.AddrPortFrom(netip.AddrFrom16(mapped.Addr().As16()), mapped.Port())
		sendAll(t, l, client, here(server), "to the peer by name")
		sendAll(t, l, client, mapped, "and by another one")
		wantTexts(t, l, server, "to the peer by name", "and by another one")
	})
}

func TestS151_NoAddressAndNoPeerIsErrNoDestination(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		p := office(t, l, &postman{}, anyPort)
		looptest.Do(l, func() {
			if err := p.t.SendTo([]byte("x"), nobody); !errors.Is(err, transport.ErrNoDestination) {
				t.Error(err)
			}
			if n := p.t.WriteBufferSize(); n != 0 {
				t.Errorf("%d bytes are buffered", n)
			}
		})
		sendAll(t, l, p, here(p), "to myself")
		wantTexts(t, l, p, "to myself")
	})
}

// statements: 155, 156
func TestS152_ADatagramThatFailsIsDroppedAndNoOther(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := office(t, l, &postman{}, anyPort)
		sender := &postman{}
		sending := false
		sender.failed = func(error) {
			if sending {
				t.Error("ErrorReceived from inside SendTo")
			}
		}
		office(t, l, sender, anyPort)
		to := here(server)
		oversized := make([]byte, 65508)
		looptest.Do(l, func() {
			sending = true
			for i, s := range numbered(100, 10) {
				if i%25 == 10 {
					if err := sender.t.SendTo(oversized, to); err != nil {
						t.Error(err)
					}
				}
				if err := sender.t.SendTo([]byte(s), to); err != nil {
					t.Error(err)
				}
			}
			if !sender.t.WritePaused() {
				t.Error("not paused by all this")
			}
			sending = false
		})
		wantTexts(t, l, server, numbered(100, 10)...)
		sendAll(t, l, sender, to, string(oversized))
		looptest.WaitFor(t, l, "the fifth error", func() bool { return len(sender.errs) == 5 })
		looptest.Do(l, func() {
			for _, err := range sender.errs {
				op, ok := errors.AsType[*net.OpError](err)
				if !ok || !errors.Is(err, syscall.EMSGSIZE) || op.Addr.String() != to.String() {
					t.Errorf("%T %v", err, err)
				}
			}
			if sender.t.WritePaused() || sender.count("resume") != 1 {
				t.Error("not resumed", sender.events)
			}
			if n := sender.t.WriteBufferSize(); n != 0 {
				t.Errorf("%d bytes are buffered", n)
			}
		})
		sendAll(t, l, server, here(sender), "still there")
		wantTexts(t, l, sender, "still there")
	})
}

// statements: 152
func TestS153_ConnectionRefusedIsToldAndReceivingGoesOn(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := correspondents(t, l)
		at := here(server)
		looptest.Do(l, server.t.Abort)
		looptest.WaitFor(t, l, "the server's end", func() bool {
			return server.t.Protocol() == nil
		})
		for want := range 3 {
			sendAll(t, l, client, nobody, "anybody there?")
			looptest.WaitFor(t, l, "an error", func() bool { return len(client.errs) > want })
		}
		looptest.Do(l, func() {
			for _, err := range client.errs {
				if !errors.Is(err, syscall.ECONNREFUSED) {
					t.Error(err)
				}
			}
		})
		again := office(t, l, &postman{}, loop.DatagramOptions{LocalAddr: at.String()})
		sendAll(t, l, again, here(client), "yes")
		wantTexts(t, l, client, "yes")
	})
}

// statements: 158
func TestS157_EachDatagramCountsEightBytesMore(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := correspondents(t, l)
		looptest.Do(l, func() {
			err := client.t.SetWriteBufferLimits(transport.Limits{High: 40})
			if err != nil {
				t.Error(err)
			}
			for i, size := range []int{8, 16, 24, 32, 40} {
				if err := client.t.SendTo(nil, nobody); err != nil {
					t.Error(err)
				}
				if n := client.t.WriteBufferSize(); n != size {
					t.Errorf("%d empty datagrams count %d, want %d", i+1, n, size)
				}
			}
			if client.t.WritePaused() {
				t.Error("paused at the mark, not beyond it")
			}
			if err := client.t.SendTo([]byte("x"), nobody); err != nil {
				t.Error(err)
			}
			if n := client.t.WriteBufferSize(); n != 49 || !client.t.WritePaused() {
				t.Errorf("%d bytes, paused: %v", n, client.t.WritePaused())
			}
			if err := client.t.SetWriteBufferLimits(transport.Limits{High: 1, Low: 2}); err == nil {
				t.Error("High below Low is taken")
			}
		})
		wantTexts(t, l, server, "", "", "", "", "", "x")
		looptest.WaitFor(t, l, "ResumeWriting", func() bool { return client.count("resume") == 1 })
		looptest.Do(l, func() {
			if n := client.t.WriteBufferSize(); n != 0 || client.count("pause") != 1 {
				t.Errorf("%d bytes left; %v", n, client.events)
			}
		})
	})
}

// statements: 160
func TestS159_PanicsAreReportedAndTheEndpointGoesOn(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, part := range []string{"datagram_received()", "datagram_received()",
			"error_received()", "pause_writing()", "resume_writing()"} {
			looptest.Expect(l, part)
		}
		boom := func() { panic("planned") }
		p := &postman{paused: boom, resumed: boom}
		p.received = func([]byte, transport.Addr) { boom() }
		p.failed = func(error) { boom() }
		office(t, l, p, anyPort)
		looptest.Do(l, func() {
			if err := p.t.SendTo(make([]byte, 70_000), here(p)); err != nil {
				t.Error(err)
			}
		})
		sendAll(t, l, p, here(p), "one", "two")
		wantTexts(t, l, p, "one", "two")
		looptest.WaitFor(t, l, "five reports", func() bool {
			return len(looptest.Exceptions(l)) == 5
		})
		looptest.Do(l, func() {
			for _, e := range looptest.Exceptions(l) {
				if _, ok := errors.AsType[*protocol.PanicError](e.Err); !ok || e.Transport != p.t {
					t.Errorf("%+v", e)
				}
			}
			if p.t.IsClosing() {
				t.Error("closing")
			}
		})
	})
}

func TestS015_APanicInConnectionMadeEndsADatagramEndpoint(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		looptest.Expect(l, "connection_made()")
		p := &postman{made: func() { panic("planned") }}
		_, err := l.CreateDatagramEndpoint(withTimeout(t), p, &anyPort)
		if _, ok := errors.AsType[*protocol.PanicError](err); !ok {
			t.Error(err)
		}
		looptest.WaitFor(t, l, "ConnectionLost", func() bool { return p.count("lost") == 1 })
		looptest.Do(l, func() {
			if p.lostErr != err {
				t.Error(p.lostErr)
			}
		})
	})
}

// statements: 162
func TestS161_CloseSendsWhatIsQueuedAndAbortDropsIt(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := office(t, l, &postman{}, anyPort)
		for _, end := range []string{"close", "abort"} {
			client := office(t, l, &postman{},
				loop.DatagramOptions{RemoteAddr: here(server).String()})
			looptest.Do(l, func() {
				for _, s := range numbered(20, 30) {
					if err := client.t.SendTo([]byte(end+s), nobody); err != nil {
						t.Error(err)
					}
				}
				if end == "abort" {
					client.t.Abort()
				}
				client.t.Close()
				client.t.Close()
				if client.count("lost") != 0 || !client.t.IsClosing() || client.t.IsReading() {
					t.Error("ConnectionLost inside Close, or not closing")
				}
				if err := client.t.SendTo([]byte("x"), nobody); !errors.Is(err, net.ErrClosed) {
					t.Error("SendTo while closing:", err)
				}
				if n := client.t.WriteBufferSize(); (n == 0) != (end == "abort") {
					t.Errorf("%s: %d bytes are buffered", end, n)
				}
			})
			looptest.WaitFor(t, l, "ConnectionLost", func() bool {
				return client.count("lost") == 1
			})
			looptest.Do(l, func() {
				if client.lostErr != nil || client.t.Protocol() != nil {
					t.Error(client.lostErr, client.t.Protocol())
				}
				if err := client.t.SendTo(nil, nobody); !errors.Is(err, transport.ErrClosed) {
					t.Error("SendTo after ConnectionLost:", err)
				}
				if err := client.t.SetProtocol(client); !errors.Is(err, transport.ErrClosed) {
					t.Error("SetProtocol after ConnectionLost:", err)
				}
				client.t.Abort()
				client.t.PauseReading()
				client.t.ResumeReading()
			})
		}
		sendAll(t, l, server, here(server), "the end")
		want := numbered(20, 30)
		for i := range want {
			want[i] = "close" + want[i]
		}
		wantTexts(t, l, server, append(want, "the end")...)
	})
}

func TestS009_ConnectionLostIsNotNestedWhereNothingIsInFlight(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, end := range []string{"close", "abort"} {
			client, server := correspondents(t, l)
			looptest.Do(l, server.t.PauseReading)
			sendAll(t, l, client, nobody, "held back, which ends the receive")
			looptest.Pass(t, l, 10*time.Millisecond)
			looptest.Do(l, func() {
				if end == "close" {
					server.t.Close()
				} else {
					server.t.Abort()
				}
				if server.count("lost") > 0 {
					t.Errorf("ConnectionLost from inside %s", end)
				}
			})
			looptest.WaitFor(t, l, "ConnectionLost", func() bool {
				return server.count("lost") == 1
			})
		}
	})
}
