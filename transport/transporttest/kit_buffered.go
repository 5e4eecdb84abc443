package transporttest

import (
	"bytes"
	"errors"
	"slices"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// bufferedCases are of section E.
var bufferedCases = []kitCase{
	{"S124_automaton_of_a_buffered_protocol", func(k *kit) {
		k.connectBuffered(64)
		k.send("hello")
		k.wait("data", func() bool { return string(k.rec.Data()) == "hello" })
		k.do(func() { k.pt().Close() })
		k.waitLostNil()
		if k.rec.Count("eof") != 1 || k.rec.Count("get") < 1 {
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
		k.connectBuffered(64)
		k.send("hello")
		k.wait("data", func() bool { return k.rec.Received() == 5 })
		for _, e := range k.rec.Events() {
			if e.Name == "get" && e.N != -1 && e.N <= 0 {
				k.Errorf("hint %d", e.N)
			}
		}
	}},
	{"S127_empty_buffer_is_fatal", func(k *kit) {
		k.connectBuffered(64)
		k.link.Expect("Fatal error: protocol.get_buffer() call failed.")
		k.do(func() { k.rec.On.Get = func(int) []byte { return nil } })
		k.send("x")
		if err := k.waitLost(); !errors.Is(err, protocol.ErrEmptyBuffer) {
			k.Errorf("ConnectionLost(%v)", err)
		}
	}},
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
	{"S132_get_may_be_followed_by_no_update", func(k *kit) {
		// statements: 133
		k.connectBuffered(64)
		k.do(func() { k.pt().Close() })
		k.waitLostNil()
		if n := k.rec.Count("updated"); n != 0 {
			k.Errorf("BufferUpdated %d times without data", n)
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
		recorders := []*Recorder{k.rec}
		received := func() (all []byte) {
			for _, r := range recorders {
				all = append(all, r.Data()...)
			}
			return all
		}
		for i := range 6 {
			k.send("0123456789")
			k.wait("ten more bytes", func() bool { return len(received()) == 10*(i+1) })
			k.do(func() {
				next := Successor(k.T, k.tr())
				recorders = append(recorders, next)
				var p protocol.Protocol = next
				if i%2 == 0 {
					p = next.Buffered(4)
				}
				if err := k.tr().SetProtocol(p); err != nil {
					k.Error(err)
				}
			})
		}
		k.do(func() { k.tr().Close() })
		last := recorders[len(recorders)-1]
		k.wait("ConnectionLost", func() bool { lost, _ := last.Lost(); return lost })
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
		before := k.rec.Received()
		k.send("two")
		k.quiet()
		if k.rec.Received() != before {
			k.Error("data while paused")
		}
		k.do(func() { k.tr().ResumeReading() })
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
