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
		client, server := Correspondents(t, l)
		want := append(numbered(100, 40), "", "x", "", "")
		SendAll(t, l, client, Nobody, want...)
		WantTexts(t, l, server, want...)
		SendAll(t, l, client, Nobody, "alone")
		WantTexts(t, l, server, append(want, "alone")...)
	})
}

func TestS145_TheSenderIsAValueToAnswerTo(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
				server := &Postman{}
				server.Received = func(data []byte, from transport.Addr) {
					if err := server.T.SendTo(data, from); err != nil {
						t.Error(err)
					}
				}
				Office(t, l, server, loop.DatagramOptions{LocalAddr: addr})
				client := Office(t, l, &Postman{},
					loop.DatagramOptions{RemoteAddr: Here(server).String()})
				SendAll(t, l, client, Nobody, "there and back")
				WantTexts(t, l, client, "there and back")
				looptest.Do(l, func() {
					if server.Got[0].From != Here(client) || client.Got[0].From != Here(server) {
						t.Errorf("from %v, and from %v", server.Got[0].From, client.Got[0].From)
					}
				})
			})
		})
	}
}

// statements: 163, 164
func TestS146_PauseAndCloseAreSeenBetweenDatagramsOfABatch(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := &Postman{}
		server.Received = func(_ []byte, from transport.Addr) {
			switch len(server.Got) {
			case 3:
				server.T.PauseReading()
			case 10: // there is something to send, so that it is not lost at once
				if err := server.T.SendTo([]byte("the last word"), from); err != nil {
					t.Error(err)
				}
				server.T.Close()
			}
		}
		Office(t, l, server, AnyPort)
		client := Office(t, l, &Postman{},
			loop.DatagramOptions{RemoteAddr: Here(server).String()})
		all := numbered(30, 20)
		SendAll(t, l, client, Nobody, all...)
		WantTexts(t, l, server, all[:3]...)
		looptest.Pass(t, l, 20*time.Millisecond)
		WantTexts(t, l, server, all[:3]...)
		looptest.Do(l, func() {
			if server.T.IsReading() {
				t.Error("IsReading while paused")
			}
			server.T.ResumeReading()
			if len(server.Got) != 3 || !server.T.IsReading() {
				t.Error("delivered from inside ResumeReading, or not reading after it")
			}
		})
		looptest.WaitFor(t, l, "ConnectionLost", func() bool { return server.Count("lost") == 1 })
		WantTexts(t, l, server, all[:10]...)
		WantTexts(t, l, client, "the last word")
	})
}

func TestS164_WhatCameInOneBatchEndsWithClose(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := &Postman{}
		server.Received = func(_ []byte, from transport.Addr) {
			if len(server.Got) == 10 {
				if err := server.T.SendTo([]byte("the last word"), from); err != nil {
					t.Error(err)
				}
				server.T.Close()
			}
		}
		Office(t, l, server, AnyPort)
		client := Office(t, l, &Postman{}, AnyPort)
		all := numbered(30, 20)
		SendAll(t, l, client, Here(server), all...)
		looptest.WaitFor(t, l, "ConnectionLost", func() bool { return server.Count("lost") == 1 })
		WantTexts(t, l, server, all[:10]...)
		WantTexts(t, l, client, "the last word")
	})
}

func TestS147_ATruncatedDatagramIsAnErrorAndNoDatagram(t *testing.T) {
	o := loop.Options{Buffers: loop.BufferOptions{Size: 512, Max: 16}}
	looptest.EnginesWith(t, o, func(t *testing.T, l *loop.Loop) {
		server := &Postman{}
		rest := ""
		server.Failed = func(err error) {
			if cut, ok := errors.AsType[*transport.TruncatedError](err); ok {
				rest = string(cut.Data)
				if cut.Addr.IsZero() || cut.Size != 2000 {
					t.Errorf("%d bytes from %v: %v", cut.Size, cut.Addr, err)
				}
			}
		}
		Office(t, l, server, AnyPort)
		client := Office(t, l, &Postman{},
			loop.DatagramOptions{RemoteAddr: Here(server).String()})
		long := numbered(1, 2000)[0]
		SendAll(t, l, client, Nobody, "before", long, strings.Repeat("y", 512))
		WantTexts(t, l, server, "before", strings.Repeat("y", 512))
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

func TestTheLongestDatagramArrivesWhole(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := Correspondents(t, l)
		long := numbered(2, 65507)
		SendAll(t, l, client, Nobody, long[0])
		WantTexts(t, l, server, long[0])
		SendAll(t, l, client, Nobody, long[1], "x")
		WantTexts(t, l, server, long[0], long[1], "x")
	})
}

func TestS148_SendToKeepsNothingOfItsArgumentAndMergesNothing(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := Correspondents(t, l)
		looptest.Do(l, func() {
			buf := make([]byte, 4)
			for _, s := range []string{"abcd", "efgh", "ijkl"} {
				copy(buf, s)
				if err := client.T.SendTo(buf, Nobody); err != nil {
					t.Error(err)
				}
			}
			clear(buf)
		})
		WantTexts(t, l, server, "abcd", "efgh", "ijkl")
	})
}

// Large ones lie in memory of their own; only Unix sockets send datagrams as large.
func TestS148_SendToKeepsNothingOfALargeArgument(t *testing.T) {
	o := loop.Options{Buffers: loop.BufferOptions{Size: 128 << 10, Max: 16}}
	looptest.EnginesWith(t, o, func(t *testing.T, l *loop.Loop) {
		if l.Engine().String() == "sim" {
			t.Skip("needs datagrams that are longer than those of IP")
		}
		server := Office(t, l, &Postman{}, loop.DatagramOptions{LocalPath: "@" + t.Name()})
		client := Office(t, l, &Postman{}, loop.DatagramOptions{RemotePath: "@" + t.Name()})
		want := strings.Repeat("x", 100<<10)
		looptest.Do(l, func() {
			buf := []byte(want)
			if err := client.T.SendTo(buf, Nobody); err != nil {
				t.Error(err)
			}
			clear(buf)
		})
		WantTexts(t, l, server, want)
	})
}

func TestS150_AnotherAddressThanThePeersIsErrAddrMismatch(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := Correspondents(t, l)
		looptest.Do(l, func() {
			err := client.T.SendTo([]byte("x"), Here(client))
			if !errors.Is(err, transport.ErrAddrMismatch) {
				t.Error(err)
			}
		})
		mapped := Here(server)
		mapped.AddrPort = netip.AddrPortFrom(netip.AddrFrom16(mapped.Addr().As16()), mapped.Port())
		SendAll(t, l, client, Here(server), "to the peer by name")
		SendAll(t, l, client, mapped, "and by another one")
		WantTexts(t, l, server, "to the peer by name", "and by another one")
	})
}

func TestS151_NoAddressAndNoPeerIsErrNoDestination(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		p := Office(t, l, &Postman{}, AnyPort)
		looptest.Do(l, func() {
			if err := p.T.SendTo([]byte("x"), Nobody); !errors.Is(err, transport.ErrNoDestination) {
				t.Error(err)
			}
			if n := p.T.WriteBufferSize(); n != 0 {
				t.Errorf("%d bytes are buffered", n)
			}
		})
		SendAll(t, l, p, Here(p), "to myself")
		WantTexts(t, l, p, "to myself")
	})
}

// statements: 155, 156
func TestS152_ADatagramThatFailsIsDroppedAndNoOther(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := Office(t, l, &Postman{}, AnyPort)
		sender := &Postman{}
		sending := false
		sender.Failed = func(error) {
			if sending {
				t.Error("ErrorReceived from inside SendTo")
			}
		}
		Office(t, l, sender, AnyPort)
		to := Here(server)
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
		WantTexts(t, l, server, numbered(100, 10)...)
		SendAll(t, l, sender, to, string(oversized))
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
		SendAll(t, l, server, Here(sender), "still there")
		WantTexts(t, l, sender, "still there")
	})
}

// statements: 152
func TestS153_ConnectionRefusedIsToldAndReceivingGoesOn(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := Correspondents(t, l)
		at := Here(server)
		looptest.Do(l, server.T.Abort)
		looptest.WaitFor(t, l, "the server's end", func() bool {
			return server.T.Protocol() == nil
		})
		for want := range 3 {
			SendAll(t, l, client, Nobody, "anybody there?")
			looptest.WaitFor(t, l, "an error", func() bool { return len(client.Errs) > want })
		}
		looptest.Do(l, func() {
			for _, err := range client.Errs {
				if !errors.Is(err, syscall.ECONNREFUSED) {
					t.Error(err)
				}
			}
		})
		again := Office(t, l, &Postman{}, loop.DatagramOptions{LocalAddr: at.String()})
		SendAll(t, l, again, Here(client), "yes")
		WantTexts(t, l, client, "yes")
	})
}

// statements: 158
func TestS157_EachDatagramCountsEightBytesMore(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := Correspondents(t, l)
		looptest.Do(l, func() {
			err := client.T.SetWriteBufferLimits(transport.Limits{High: 40})
			if err != nil {
				t.Error(err)
			}
			for i, size := range []int{8, 16, 24, 32, 40} {
				if err := client.T.SendTo(nil, Nobody); err != nil {
					t.Error(err)
				}
				if n := client.T.WriteBufferSize(); n != size {
					t.Errorf("%d empty datagrams count %d, want %d", i+1, n, size)
				}
			}
			if client.T.WritePaused() {
				t.Error("paused at the mark, not beyond it")
			}
			if err := client.T.SendTo([]byte("x"), Nobody); err != nil {
				t.Error(err)
			}
			if n := client.T.WriteBufferSize(); n != 49 || !client.T.WritePaused() {
				t.Errorf("%d bytes, paused: %v", n, client.T.WritePaused())
			}
			if err := client.T.SetWriteBufferLimits(transport.Limits{High: 1, Low: 2}); err == nil {
				t.Error("High below Low is taken")
			}
		})
		WantTexts(t, l, server, "", "", "", "", "", "x")
		looptest.WaitFor(t, l, "ResumeWriting", func() bool { return client.Count("resume") == 1 })
		looptest.Do(l, func() {
			if n := client.T.WriteBufferSize(); n != 0 || client.Count("pause") != 1 {
				t.Errorf("%d bytes left; %v", n, client.Events)
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
		p := &Postman{Paused: boom, Resumed: boom}
		p.Received = func([]byte, transport.Addr) { boom() }
		p.Failed = func(error) { boom() }
		Office(t, l, p, AnyPort)
		looptest.Do(l, func() {
			if err := p.T.SendTo(make([]byte, 70_000), Here(p)); err != nil {
				t.Error(err)
			}
		})
		SendAll(t, l, p, Here(p), "one", "two")
		WantTexts(t, l, p, "one", "two")
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
		p := &Postman{Made: func() { panic("planned") }}
		_, err := l.CreateDatagramEndpoint(WithTimeout(t), p, &AnyPort)
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

// statements: 162
func TestS161_CloseSendsWhatIsQueuedAndAbortDropsIt(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := Office(t, l, &Postman{}, AnyPort)
		for _, end := range []string{"close", "abort"} {
			client := Office(t, l, &Postman{},
				loop.DatagramOptions{RemoteAddr: Here(server).String()})
			looptest.Do(l, func() {
				for _, s := range numbered(20, 30) {
					if err := client.T.SendTo([]byte(end+s), Nobody); err != nil {
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
				if err := client.T.SendTo([]byte("x"), Nobody); !errors.Is(err, net.ErrClosed) {
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
				if err := client.T.SendTo(nil, Nobody); !errors.Is(err, transport.ErrClosed) {
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
		SendAll(t, l, server, Here(server), "the end")
		want := numbered(20, 30)
		for i := range want {
			want[i] = "close" + want[i]
		}
		WantTexts(t, l, server, append(want, "the end")...)
	})
}

func TestS009_ConnectionLostIsNotNestedWhereNothingIsInFlight(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, end := range []string{"close", "abort"} {
			client, server := Correspondents(t, l)
			looptest.Do(l, server.T.PauseReading)
			SendAll(t, l, client, Nobody, "held back, which ends the receive")
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
