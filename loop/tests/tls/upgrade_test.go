package tls_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/tlsio"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// upgraded is what came of StartTLSFunc.
type upgraded struct {
	transport transport.Transport
	err       error
	done      bool
}

// upgrade puts TLS on r's transport. It is for the loop's goroutine.
func upgrade(t *testing.T, l *loop.Loop, r *transporttest.Recorder, p protocol.Protocol,
	server bool, o loop.TLSOptions) *upgraded {
	u := &upgraded{}
	var recorder any = p
	if b, ok := protocol.AsBuffered(p); ok {
		recorder = b
	}
	o.ServerSide = server
	config := rig.ServerTLS()
	if !server {
		config = rig.ClientTLS()
		o.ServerName = "127.0.0.1"
	}
	l.StartTLSFunc(context.Background(), r.Transport(), p, config, &o,
		func(tr transport.Transport, err error) {
			u.transport, u.err, u.done = tr, err, true
			if err == nil {
				recorder.(interface{ SetTransport(transport.Transport) }).SetTransport(tr)
				t.Cleanup(func() { looptest.Do(l, tr.Abort) })
			}
		})
	return u
}

// overTLS makes recorders that take part after an upgrade.
func overTLS(t *testing.T, rs ...*transporttest.Recorder) (next []*transporttest.Recorder) {
	for _, r := range rs {
		next = append(next, transporttest.Successor(t, r.Transport()))
	}
	return next
}

func TestS216_UpgradeOfAnOpenConnectionInBothRoles(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		var next []*transporttest.Recorder
		var s, c *upgraded
		looptest.Do(l, func() {
			next = overTLS(t, server, client)
			server.On.Data = func(b []byte) {
				if string(b) != "STARTTLS" {
					t.Errorf("the server got %q", b)
				}
				server.Transport().Write([]byte("GO"))
				s = upgrade(t, l, server, next[0], true, loop.TLSOptions{})
			}
			client.On.Data = func(b []byte) {
				c = upgrade(t, l, client, next[1].Buffered(100), false, loop.TLSOptions{})
			}
			client.Transport().Write([]byte("STARTTLS"))
		})
		looptest.WaitFor(t, l, "the handshakes", func() bool {
			return s != nil && c != nil && s.done && c.done
		})
		if s.err != nil || c.err != nil {
			t.Fatal(s.err, c.err)
		}
		looptest.Do(l, func() {
			if _, ok := transport.TLSState(c.transport); !ok {
				t.Error("no TLS state")
			}
			c.transport.Write([]byte("secret"))
			s.transport.Write([]byte("reply"))
		})
		looptest.WaitFor(t, l, "the data", func() bool {
			return string(next[0].Data()) == "secret" && string(next[1].Data()) == "reply"
		})
		looptest.Do(l, func() { c.transport.Close() })
		lost(t, l, next[0], nil)
		lost(t, l, next[1], nil)
		if next[0].Count("made") != 0 || string(client.Data()) != "GO" {
			t.Errorf("trace %s, in the clear %q", next[0].Trace(), client.Data())
		}
	})
}

func TestS219_WhatAPauseHeldBackIsTLSAndThePauseEnds(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		var next []*transporttest.Recorder
		var s, c *upgraded
		looptest.Do(l, func() {
			next = overTLS(t, server, client)
			server.Transport().PauseReading()
			c = upgrade(t, l, client, next[1], false, loop.TLSOptions{})
			l.CallLater(10*time.Millisecond, func() { // the hello has come, and is held back
				s = upgrade(t, l, server, next[0], true, loop.TLSOptions{})
			})
		})
		looptest.WaitFor(t, l, "the handshakes", func() bool {
			return s != nil && s.done && c.done
		})
		if s.err != nil || c.err != nil || server.Received() != 0 {
			t.Fatal(s.err, c.err, server.Received())
		}
		looptest.Do(l, func() {
			if !s.transport.IsReading() {
				t.Error("reading is still paused")
			}
		})
	})
}

func TestS218_UpgradeOfWhatCannotBeUpgraded(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		reader, _ := rig.PipeEnds(t, l)
		_, over := serveTLS(t, l, loop.ServerOptions{}).DialTLS(loop.ConnectionOptions{})
		ended := transporttest.NewTransport(transporttest.NewRecorder(t), nil)
		ended.Close()
		looptest.Do(l, func() {
			below := over.Transport().(interface{ Underlying() transport.Transport }).Underlying()
			good := rig.ClientTLS()
			good.ServerName = "127.0.0.1"
			for i, c := range []struct {
				on   transport.Transport
				p    protocol.Protocol
				c    *tls.Config
				want error
			}{
				{nil, client, good, transport.ErrClosed},
				{ended, client, good, transport.ErrClosed},
				{client.Transport(), nil, good, transport.ErrNilProtocol},
				{client.Transport(), client, nil, tlsio.ErrNoConfig},
				{client.Transport(), client, rig.ClientTLS(), tlsio.ErrNoServerName},
				{below, over, good, loop.ErrTLSBelow},
				{reader.Transport(), reader, good, errors.ErrUnsupported},
			} {
				var err error
				l.StartTLSFunc(context.Background(), c.on, c.p, c.c, nil,
					func(_ transport.Transport, e error) { err = e })
				if !errors.Is(err, c.want) {
					t.Errorf("case %d: %v, want %v", i, err, c.want)
				}
			}
			if client.Transport().IsClosing() || client.Transport().Protocol() !=
				transport.BaseProtocol(client) {
				t.Error("a refused upgrade changed the connection")
			}
			server.Transport().Write([]byte("still in the clear"))
		})
		looptest.WaitFor(t, l, "the data", func() bool { return client.Received() == 18 })
	})
}

func TestUpgradeKeepsTheLimitsOfTheServer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		const most = 24 << 20
		for _, below := range []*loop.TLSOptions{nil, {Config: rig.ServerTLS()}} {
			a := rig.Serve(t, l, "", &loop.ServerOptions{TLS: below, WriteCap: most,
				CloseTimeout: 20 * time.Millisecond})
			dial := a.Dial
			if below != nil {
				dial = func() (server, client *transporttest.Recorder) {
					return a.DialTLS(loop.ConnectionOptions{})
				}
			}
			server, client := dial()
			var next []*transporttest.Recorder
			var s, c *upgraded
			looptest.Do(l, func() {
				next = overTLS(t, server, client)
				s = upgrade(t, l, server, next[0], true, loop.TLSOptions{})
				c = upgrade(t, l, client, next[1], false, loop.TLSOptions{})
			})
			looptest.WaitFor(t, l, "the handshakes", func() bool { return s.done && c.done })
			if s.err != nil || c.err != nil {
				t.Fatal(s.err, c.err)
			}
			looptest.Do(l, func() {
				_, err := s.transport.Write(make([]byte, most+1))
				if err != transport.ErrBufferFull {
					t.Errorf("WriteCap: %v", err)
				}
				c.transport.PauseReading()
				s.transport.Write(make([]byte, most*2/3))
				s.transport.Close()
			})
			lost(t, l, next[0], transport.ErrCloseTimeout)
		}
	})
}

// What receives below is a Protocol, or a BufferedProtocol whose memory is the kernel's
// when StartTLS is called. Where cancellations are slow, the receive that StartTLS cancels
// brings the hello.
func TestS450_WhatComesInDuringStartTLSIsTheHandshakes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for _, buffered := range []bool{false, true} {
		t.Run(fmt.Sprint("buffered ", buffered), func(t *testing.T) {
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
				upgradeDuringReceive(t, l, buffered)
			})
			slow := looptest.Faults{LateCancel: 1, DelayMax: time.Second}
			for _, ring := range []bool{false, true} {
				t.Run(fmt.Sprint("slow, ring ", ring), func(t *testing.T) {
					n := looptest.New(t, looptest.Options{Seed: 1, Ring: ring, Faults: slow})
					upgradeDuringReceive(t, n.Loop, buffered)
				})
			}
		})
	}
}

func upgradeDuringReceive(t *testing.T, l *loop.Loop, buffered bool) {
	t.Helper()
	server, client := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
	ps, pc := protocol.Protocol(server), protocol.Protocol(client)
	if buffered {
		ps, pc = server.Buffered(100), client.Buffered(100)
	}
	rig.ConnectTCP(t, l, ps, pc)
	rig.AbortAtEnd(t, l, server, client)
	looptest.Turns(l, 3) // the receives are in flight
	var s, c *upgraded
	var next []*transporttest.Recorder
	looptest.Do(l, func() {
		next = overTLS(t, server, client)
		s = upgrade(t, l, server, next[0], true, loop.TLSOptions{})
		c = upgrade(t, l, client, next[1], false, loop.TLSOptions{})
	})
	looptest.WaitFor(t, l, "the handshakes", func() bool { return s.done && c.done })
	if s.err != nil || c.err != nil {
		t.Fatal(s.err, c.err)
	}
	looptest.Do(l, func() { s.transport.Write([]byte("encrypted")) })
	looptest.WaitFor(t, l, "the data", func() bool {
		return string(next[1].Data()) == "encrypted"
	})
	if n := server.Received() + client.Received(); n > 0 {
		t.Errorf("the protocols below received %d bytes", n)
	}
}

func TestS220_BytesThatWereReceivedAlreadyAreThePrefix(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		var next []*transporttest.Recorder
		var s, c *upgraded
		looptest.Do(l, func() {
			next = overTLS(t, server, client)
			server.On.Data = func(b []byte) { // the command and the hello at once
				rest := strings.TrimPrefix(string(b), "PROXY\n")
				s = upgrade(t, l, server, next[0].Buffered(7), true,
					loop.TLSOptions{Prefix: []byte(rest)})
			}
			client.Transport().Write([]byte("PROXY\n"))
			c = upgrade(t, l, client, next[1], false, loop.TLSOptions{})
		})
		looptest.WaitFor(t, l, "the handshakes", func() bool {
			return s != nil && s.done && c.done
		})
		if s.err != nil || c.err != nil {
			t.Fatal(s.err, c.err)
		}
		looptest.Do(l, func() { c.transport.Write([]byte("more than seven bytes")) })
		looptest.WaitFor(t, l, "the data", func() bool { return next[0].Received() == 21 })
	})
}

func TestS222_FailedUpgradeIsConnectionLost(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		var c *upgraded
		looptest.Do(l, func() {
			c = upgrade(t, l, client, client, false, loop.TLSOptions{})
			client.On.Lost = func(error) {
				if c.done {
					t.Error("StartTLS has returned before ConnectionLost")
				}
			}
			server.On.Data = func([]byte) { server.Transport().Write([]byte("what do you want?")) }
		})
		looptest.WaitFor(t, l, "the failure", func() bool { return c.done })
		var record tls.RecordHeaderError
		if !errors.As(c.err, &record) || c.transport != nil {
			t.Errorf("%v, %v", c.transport, c.err)
		}
		lost(t, l, client, errors.Unwrap(c.err))
		lost(t, l, server, nil)
	})
}

func TestS221_CancelledUpgradeCloses(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() {
			_, err := l.StartTLS(ctx, client.Transport(), client, rig.ClientTLS(),
				&loop.TLSOptions{ServerName: "sluice.test"})
			result <- err
		}()
		looptest.WaitFor(t, l, "the takeover", func() bool {
			return client.Transport().Protocol() != transport.BaseProtocol(client)
		})
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		lost(t, l, client, context.Canceled)
		lost(t, l, server, nil)
	})
}

func TestS223_UpgradeWhileWritingIsPaused(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		const size = 8 << 20
		var next []*transporttest.Recorder
		var s, c *upgraded
		looptest.Do(l, func() {
			server.On.Data = func(b []byte) {
				if hello := server.Received() - size; hello >= 0 { // all of the clear text
					s = upgrade(t, l, server, next[0], true,
						loop.TLSOptions{Prefix: b[len(b)-hello:]})
				}
			}
			for sent := 0; sent < size; sent += 64 << 10 {
				client.Transport().Write(make([]byte, 64<<10))
			}
			if !client.Transport().WritePaused() {
				t.Error("not paused")
			}
			next = overTLS(t, server, client)
			c = upgrade(t, l, client, next[1], false, loop.TLSOptions{})
			if next[1].Count("resume") != 0 {
				t.Error("resumed inside StartTLSFunc")
			}
		})
		looptest.WaitFor(t, l, "the handshakes", func() bool {
			return s != nil && s.done && c.done
		})
		if s.err != nil || c.err != nil {
			t.Fatal(s.err, c.err)
		}
		looptest.WaitFor(t, l, "ResumeWriting", func() bool { return next[1].Count("resume") == 1 })
		looptest.Do(l, func() {
			if c.transport.WritePaused() {
				t.Error("still paused")
			}
			c.transport.Write([]byte("go on"))
		})
		looptest.WaitFor(t, l, "the data", func() bool { return string(next[0].Data()) == "go on" })
	})
}

func TestS210_TLSInTLS(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := serveTLS(t, l, loop.ServerOptions{}).DialTLS(loop.ConnectionOptions{})
		const size = 3 << 20
		var next []*transporttest.Recorder
		var s, c *upgraded
		looptest.Do(l, func() {
			next = overTLS(t, server, client)
			s = upgrade(t, l, server, next[0], true, loop.TLSOptions{RequireCloseNotify: true})
			c = upgrade(t, l, client, next[1], false, loop.TLSOptions{})
		})
		looptest.WaitFor(t, l, "the handshakes", func() bool { return s.done && c.done })
		if s.err != nil || c.err != nil {
			t.Fatal(s.err, c.err)
		}
		looptest.Do(l, func() {
			s.transport.PauseReading()
			c.transport.Write(make([]byte, size))
			c.transport.Close()
			l.CallLater(1000, s.transport.ResumeReading)
		})
		lost(t, l, next[1], nil)
		lost(t, l, next[0], nil)
		if next[0].Received() != size || next[0].Count("eof") != 1 {
			t.Errorf("received %d of %d, %d times EOF", next[0].Received(), size,
				next[0].Count("eof"))
		}
	})
}
