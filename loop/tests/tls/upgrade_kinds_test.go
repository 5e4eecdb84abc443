package tls_test

import (
	"bytes"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// upgradeBoth puts TLS on both ends of a connection and waits for the handshake.
func upgradeBoth(t *testing.T, l *loop.Loop, server, client *transporttest.Recorder,
	kind func(r *transporttest.Recorder) protocol.Protocol,
) (s, c *upgraded, next []*transporttest.Recorder) {
	t.Helper()
	looptest.Do(l, func() {
		next = overTLS(t, server, client)
		s = upgrade(t, l, server, kind(next[0]), true, loop.TLSOptions{})
		c = upgrade(t, l, client, kind(next[1]), false, loop.TLSOptions{})
	})
	looptest.WaitFor(t, l, "the handshakes", func() bool { return s.done && c.done })
	if s.err != nil || c.err != nil {
		t.Fatal(s.err, c.err)
	}
	return s, c, next
}

func plainly(r *transporttest.Recorder) protocol.Protocol { return r }

func TestS217_ConnectionLostComesOnceAtTheEndOfTLS(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		_, c, next := upgradeBoth(t, l, server, client, plainly)
		looptest.Turns(l, 3)
		for _, r := range next {
			if n := r.Count("lost"); n != 0 {
				t.Errorf("lost %d times by the upgrade", n)
			}
		}
		looptest.Do(l, func() { c.transport.Close() })
		lost(t, l, next[0], nil)
		lost(t, l, next[1], nil)
		looptest.Turns(l, 3)
		for i, old := range []*transporttest.Recorder{server, client} {
			if next[i].Count("lost") != 1 || old.Count("lost") != 0 {
				t.Errorf("lost %d times, and the protocol before %d times",
					next[i].Count("lost"), old.Count("lost"))
			}
		}
	})
}

func TestS224_PlainAndBufferedProtocolsAreUpgraded(t *testing.T) {
	for name, kind := range map[string]func(r *transporttest.Recorder) protocol.Protocol{
		"plain": plainly,
		"buffered": func(r *transporttest.Recorder) protocol.Protocol {
			return r.Buffered(7)
		},
	} {
		t.Run(name, func(t *testing.T) {
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
				server, client := rig.Pair(t, l)
				s, c, next := upgradeBoth(t, l, server, client, kind)
				looptest.Do(l, func() {
					s.transport.Write([]byte("to the client"))
					c.transport.Write([]byte("to the server"))
				})
				rig.WaitData(t, l, next[0], []byte("to the server"))
				rig.WaitData(t, l, next[1], []byte("to the client"))
				for _, r := range next {
					if plain := name == "plain"; r.Count("data") > 0 != plain ||
						r.Count("updated") > 0 == plain {
						t.Errorf("trace %s", r.Trace())
					}
				}
			})
		})
	}
}

func TestS225_WhatWasWrittenBeforeIsSentInTheClear(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		plain := bytes.Repeat([]byte("in the clear "), 100_000)
		looptest.Do(l, func() {
			client.Transport().Write(plain)
			if client.Transport().WriteBufferSize() == 0 {
				t.Error("all of it is sent already")
			}
			upgrade(t, l, client, overTLS(t, client)[0], false, loop.TLSOptions{})
		})
		looptest.WaitFor(t, l, "the hello", func() bool { return server.Received() > len(plain)+5 })
		looptest.Do(l, func() {
			got := server.Data()
			if !bytes.Equal(got[:len(plain)], plain) {
				t.Error("what was written before has changed")
			}
			if hello := got[len(plain):]; hello[0] != 0x16 || hello[1] != 3 {
				t.Errorf("then came % x", hello[:5])
			}
			server.Transport().Abort()
		})
		looptest.WaitFor(t, l, "the end", func() bool { return l.Stats().Transports == 0 })
	})
}
