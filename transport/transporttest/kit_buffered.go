package transporttest

import (
	"bytes"
	"errors"
	"regexp"
	"slices"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// bufferedTrace is the state machine of a buffered protocol that is not paused.
var bufferedTrace = regexp.MustCompile(`^made(, get -?\d+(, updated \d+)?)+, eof, lost <nil>$`)

// bufferedCases are the cases of section E.
var bufferedCases = []kitCase{
	{"S124_automaton_of_a_buffered_protocol", func(k *kit) {
		k.connectBuffered(64)
		k.send("hello")
		k.wait("data", func() bool { return string(k.rec.Data()) == "hello" })
		k.do(func() { k.pt().Close() })
		k.waitLostNil()
		if !bufferedTrace.MatchString(k.rec.Trace()) {
			k.Errorf("trace %s", k.rec.Trace())
		}
	}},
	{"S125_small_and_large_buffers", func(k *kit) {
		const size = 300000
		sizes := []int{1, 7, 4096, 1 << 20}
		k.rec.On.Get = func(int) []byte {
			sizes = append(sizes[1:], sizes[0])
			return make([]byte, sizes[0])
		}
		k.connectBuffered(1)
		k.do(func() { k.mustWrite(k.pt(), pattern(0, size)) })
		k.wait("all data", func() bool { return k.rec.Received() >= size })
		if !bytes.Equal(k.rec.Data(), pattern(0, size)) {
			k.Error("data changed on its way")
		}
	}},
	{"S126_hint_is_minus_one_or_what_is_there", func(k *kit) {
		k.connectBuffered(3)
		k.send("a")
		k.wait("data", func() bool { return k.rec.Received() == 1 })
		asks := k.rec.Events()[1].N == -1 // before there is data
		hints := hintsOf(k.rec)
		if asks && slices.Max(hints) > 0 || !asks && slices.Min(hints) < 1 {
			k.Errorf("hints %d", hints)
		}
		next := k.succeed(func(r *Recorder) protocol.Protocol { return r })
		k.send("b")
		k.wait("data", func() bool { return next.Received() == 1 })
		for range 100 { // on a busy machine nothing may have arrived in time
			k.do(k.tr().PauseReading)
			k.send("held back")
			k.quiet()
			next = k.succeed(func(r *Recorder) protocol.Protocol { return r.Buffered(4) })
			k.do(k.tr().ResumeReading)
			k.wait("the rest", func() bool { return next.Received() == 9 })
			if !asks && slices.Min(hintsOf(next)) < 1 {
				k.Errorf("hints %d where there is data", hintsOf(next))
			}
			if !asks || k.checkHints(next, 4) > 0 {
				return
			}
		}
		k.Error("nothing was held back")
	}},
	{"S127_empty_buffer_is_fatal", func(k *kit) { k.offerNothing([]byte{}) }},
	{"S127_nil_buffer_is_fatal", func(k *kit) { k.offerNothing(nil) }},
	{"S128_panic_in_GetBuffer_is_fatal", func(k *kit) {
		k.connectBuffered(64)
		k.link.Expect("Fatal error: protocol.get_buffer() call failed.")
		updated := 0
		k.do(func() {
			k.rec.On.Get = func(int) []byte { updated = k.rec.Count("updated"); panic(errPlanned) }
		})
		k.send("x")
		err := k.waitLost()
		k.checkPanic("GetBuffer", err)
		if !errors.Is(err, errPlanned) {
			k.Errorf("%v is not the value of the panic", err)
		}
		if n := k.rec.Count("updated"); n != updated {
			k.Error("BufferUpdated after a panic in GetBuffer")
		}
	}},
	{"S130_BufferUpdated_with_the_bytes_in_the_buffer", func(k *kit) {
		k.connectBuffered(100)
		const size = 5000
		k.do(func() { k.mustWrite(k.pt(), pattern(0, size)) })
		k.wait("all data", func() bool { return k.rec.Received() >= size })
		if !bytes.Equal(k.rec.Data(), pattern(0, size)) {
			k.Error("data changed on its way")
		}
	}},
	{"S131_panic_in_BufferUpdated_is_fatal", func(k *kit) {
		k.rec.On.Updated = func(int) { panic("planned") }
		k.connectBuffered(64)
		k.link.Expect("Fatal error: protocol.buffer_updated() call failed.")
		k.send("x")
		k.checkPanic("BufferUpdated", k.waitLost())
	}},
	{"S132_close_leaves_a_buffer_unfilled", func(k *kit) {
		k.connectBuffered(64)
		k.do(func() { k.tr().Close() })
		k.waitLostNil()
		k.unfilled()
	}},
	{"S132_abort_leaves_a_buffer_unfilled", func(k *kit) {
		k.connectBuffered(64)
		k.do(k.tr().Abort)
		k.waitLostNil()
		k.unfilled()
	}},
	{"S132_an_error_leaves_a_buffer_unfilled", func(k *kit) {
		k.connectBuffered(64)
		k.needsReset()
		k.link.Reset()
		if err := k.waitLost(); err == nil {
			k.Error("ConnectionLost(nil)")
		}
		k.unfilled()
	}},
	{"S133_EOF_leaves_a_buffer_unfilled", func(k *kit) {
		k.connectBuffered(64)
		k.do(func() { k.pt().Close() })
		k.waitLostNil()
		k.unfilled()
		if n := k.rec.Count("eof"); n != 1 {
			k.Errorf("EOFReceived %d times", n)
		}
	}},
	{"S134_no_get_after_EOF", func(k *kit) {
		k.rec.On.EOF = func() bool { return true }
		k.connectBuffered(64)
		k.needsHalfClose()
		k.do(func() { k.pt().WriteEOF() })
		k.wait("EOF", k.rec.GotEOF)
		gets := k.rec.Count("get")
		k.do(func() {
			k.tr().PauseReading()
			k.tr().ResumeReading()
		})
		k.quiet()
		if k.rec.Count("get") != gets {
			k.Error("GetBuffer after EOF")
		}
	}},
	{"S135_switch_between_plain_and_buffered", func(k *kit) {
		k.connect()
		now, last := k.rec, k.rec
		for i := range 6 {
			last = now
			k.send("0123456789")
			k.wait("ten bytes for the protocol of now", func() bool {
				return string(now.Data()) == "0123456789"
			})
			if plain := i%2 == 0; now.Count("data") > 0 != plain || now.Count("get") > 0 == plain {
				k.Errorf("protocol %d: trace %s", i, now.Trace())
			}
			now = k.succeed(func(r *Recorder) protocol.Protocol {
				if i%2 == 0 {
					return r.Buffered(4)
				}
				return r
			})
		}
		k.do(func() { k.tr().Close() })
		k.wait("ConnectionLost", func() bool { lost, _ := now.Lost(); return lost })
		if lost, _ := last.Lost(); lost {
			k.Error("ConnectionLost of the protocol before")
		}
	}},
	{"S136_data_in_hand_is_fed_until_consumed", func(k *kit) {
		k.connect()
		next := &Recorder{}
		k.do(func() {
			next = Successor(k.T, k.tr())
			k.tr().PauseReading()
		})
		k.send("a whole sentence")
		k.quiet() // it is held now, outside of any buffer of the protocol's
		k.do(func() {
			if err := k.tr().SetProtocol(next.Buffered(3)); err != nil {
				k.Error(err)
			}
			k.tr().ResumeReading()
		})
		k.wait("all data", func() bool { return string(next.Data()) == "a whole sentence" })
		if slices.Contains(hintsOf(next), -1) {
			k.checkHints(next, 3)
		} else if n := next.Count("updated"); n != 6 {
			k.Errorf("16 bytes in %d buffers of 3: %s", n, next.Trace())
		}
	}},
	{"S137_close_in_GetBuffer", func(k *kit) {
		k.connectBuffered(64)
		closed := false
		k.do(func() {
			k.rec.On.Get = func(int) []byte {
				k.tr().Close()
				closed = true
				return make([]byte, 10)
			}
		})
		k.do(func() {
			k.pt().Write([]byte("first"))
			k.pt().Write(pattern(0, 100))
		})
		k.wait("Close in GetBuffer", func() bool { return closed })
		k.waitLostNil()
		events := k.rec.Events()
		if last := events[len(events)-2]; last.Name != "get" {
			k.Errorf("trace %s", k.rec.Trace())
		}
	}},
	{"S138_pause_in_GetBuffer", func(k *kit) {
		k.connectBuffered(64)
		k.do(func() {
			k.rec.On.Get = func(int) []byte {
				k.rec.On.Get = nil
				k.tr().PauseReading()
				return make([]byte, 10)
			}
		})
		k.send("one")
		k.wait("a pause", func() bool { return !k.tr().IsReading() })
		before, gets := k.rec.Received(), k.rec.Count("get")
		k.send("two")
		k.quiet()
		if k.rec.Received() != before {
			k.Error("data while paused")
		}
		k.do(func() {
			k.rec.On.Updated = func(int) {
				k.rec.On.Updated = nil
				if n := k.rec.Count("get"); n != gets {
					k.Errorf("%d more buffers were asked for", n-gets)
				}
			}
			k.tr().ResumeReading()
		})
		k.wait("the rest", func() bool { return string(k.rec.Data()) == "onetwo" })
	}},
	{"S139_no_update_into_a_lent_buffer_after_the_end", func(k *kit) {
		k.connectBuffered(1 << 10)
		k.send("x")
		k.wait("data", func() bool { return k.rec.Received() == 1 })
		var after []byte
		k.do(func() {
			k.rec.On.Lost = func(error) { after = slices.Clone(k.rec.own) }
			k.tr().Abort()
			k.pt().Write([]byte("too late, too late"))
		})
		k.waitLostNil()
		k.quiet()
		k.do(func() {
			if !bytes.Equal(after, k.rec.own) {
				k.Error("the buffer changed after ConnectionLost")
			}
		})
	}},
	{"S140_the_same_buffer_again_and_again", func(k *kit) {
		k.connectBuffered(8)
		k.do(func() {
			for i := range 100 {
				k.mustWrite(k.pt(), pattern(i*37, 37))
			}
		})
		k.wait("all data", func() bool { return k.rec.Received() == 3700 })
		if !bytes.Equal(k.rec.Data(), pattern(0, 3700)) {
			k.Error("data changed on its way")
		}
	}},
	{"S449_set_protocol_while_a_receive_fills_the_old_buffer", func(k *kit) {
		k.connectBuffered(1 << 10)
		var next *Recorder
		k.do(func() {
			k.mustWrite(k.pt(), []byte("in flight"))
			next = Successor(k.T, k.tr())
			if err := k.tr().SetProtocol(next); err != nil {
				k.Error(err)
			}
		})
		k.wait("the bytes", func() bool {
			return string(k.rec.Data())+string(next.Data()) == "in flight"
		})
		k.send(" and later")
		k.wait("more", func() bool { return bytes.HasSuffix(next.Data(), []byte("later")) })
		k.do(func() {
			if k.tr().Protocol() != transport.BaseProtocol(next) {
				k.Error("Protocol() is not the new one")
			}
		})
	}},
}

// offerNothing returns buf from GetBuffer.
func (k *kit) offerNothing(buf []byte) {
	k.Helper()
	k.connectBuffered(64)
	k.link.Expect("Fatal error: protocol.get_buffer() call failed.")
	k.do(func() { k.rec.On.Get = func(int) []byte { return buf } })
	k.send("x")
	if err := k.waitLost(); !errors.Is(err, protocol.ErrEmptyBuffer) {
		k.Errorf("ConnectionLost(%v)", err)
	}
	k.reported("Fatal error: protocol.get_buffer() call failed.")
}

// unfilled checks that no buffer was filled.
func (k *kit) unfilled() {
	k.Helper()
	if n := k.rec.Count("updated"); n != 0 {
		k.Errorf("BufferUpdated %d times without data", n)
	}
}

// succeed replaces the current protocol.
func (k *kit) succeed(kind func(r *Recorder) protocol.Protocol) (next *Recorder) {
	k.do(func() {
		next = Successor(k.T, k.tr())
		if err := k.tr().SetProtocol(kind(next)); err != nil {
			k.Error(err)
		}
	})
	return next
}

// checkHints checks what a protocol with buffers of size bytes was asked for and given by
// a transport that asks before there is data. A hint is -1 then, or the length of a piece
// that the transport holds and hands over to its end before anything else. A stream comes
// in pieces of any length. checkHints returns the largest hint.
func (k *kit) checkHints(r *Recorder, size int) (largest int) {
	k.Helper()
	held := 0
	for _, e := range r.Events() {
		switch {
		case e.Name == "get":
			if held > 0 && e.N != held || e.N < 1 && e.N != -1 {
				k.Errorf("hint %d while %d bytes are held: %s", e.N, held, r.Trace())
			}
			held = max(e.N, 0)
			largest = max(largest, e.N)
		case e.Name == "updated" && held > 0:
			if e.N != min(size, held) {
				k.Errorf("%d of %d bytes in a buffer of %d: %s", e.N, held, size, r.Trace())
			}
			held -= e.N
		}
	}
	return largest
}

// hintsOf returns the hints of all calls of GetBuffer.
func hintsOf(r *Recorder) (hints []int) {
	for _, e := range r.Events() {
		if e.Name == "get" {
			hints = append(hints, e.N)
		}
	}
	return hints
}
