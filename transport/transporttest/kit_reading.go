package transporttest

import (
	"bytes"

	"github.com/sluice-net/sluice/transport"
)

// readingCases are cases of section B: delivery, pausing and EOF.
var readingCases = []kitCase{
	{"S038_data_in_order_and_never_empty", func(k *kit) {
		k.connect()
		const size = 1 << 20
		k.do(func() { k.mustWrite(k.pt(), pattern(0, size)) })
		k.wait("all data", func() bool { return k.rec.Received() >= size })
		if !bytes.Equal(k.rec.Data(), pattern(0, size)) {
			k.Error("data changed on its way")
		}
	}},
	{"S044_EOF_flushes_then_ConnectionLost_nil", func(k *kit) {
		k.peer.On.EOF = func() bool { return true }
		k.connect()
		k.needsHalfClose()
		k.clog()
		k.do(func() { k.pt().WriteEOF() })
		k.wait("EOF", k.rec.GotEOF)
		k.unclog()
		k.waitPeerGot()
		k.waitLostNil()
	}},
	{"S045_kept_open_EOF_leaves_the_write_side_open", func(k *kit) {
		k.rec.On.EOF = func() bool { return true }
		k.connect()
		k.needsHalfClose()
		k.do(func() { k.pt().WriteEOF() })
		k.wait("EOF", k.rec.GotEOF)
		k.do(func() { k.write(1000) })
		k.waitPeerGot()
		k.do(func() {
			if k.tr().IsClosing() {
				k.Error("closing after a kept-open EOF")
			}
			k.tr().Close()
		})
		k.waitTrace("made, eof, lost <nil>")
	}},
	{"S046_EOFReceived_once_and_no_data_after", func(k *kit) {
		k.rec.On.EOF = func() bool { return true }
		k.connect()
		k.needsHalfClose()
		k.send("last words")
		k.do(func() { k.pt().WriteEOF() })
		k.waitTrace("made, data 10, eof")
		k.quiet()
		k.waitTrace("made, data 10, eof")
	}},
	{"S047_no_second_EOF_after_pause_and_resume", func(k *kit) {
		k.rec.On.EOF = func() bool { return true }
		k.connect()
		k.needsHalfClose()
		k.do(func() { k.pt().WriteEOF() })
		k.wait("EOF", k.rec.GotEOF)
		k.do(func() {
			k.tr().PauseReading()
			k.tr().ResumeReading()
		})
		k.quiet()
		k.waitTrace("made, eof")
	}},
	{"S048_not_reading_after_a_kept_open_EOF", func(k *kit) {
		k.rec.On.EOF = func() bool { return true }
		k.connect()
		k.needsHalfClose()
		k.do(func() { k.pt().WriteEOF() })
		k.wait("EOF", k.rec.GotEOF)
		k.do(func() {
			if k.tr().IsReading() {
				k.Error("reads after EOF")
			}
		})
	}},
	{"S049_neither_data_nor_EOF_while_paused", func(k *kit) {
		k.connect()
		k.do(func() { k.tr().PauseReading() })
		k.send("secret")
		k.do(k.endInput)
		k.quiet()
		k.waitTrace("made")
		k.do(func() { k.tr().ResumeReading() })
		k.waitTrace("made, data 6, eof, lost <nil>")
	}},
	{"S050_EOF_while_paused_then_close", func(k *kit) {
		k.connect()
		k.do(func() { k.tr().PauseReading() })
		k.do(k.endInput)
		k.quiet()
		k.do(func() { k.tr().Close() })
		k.waitTrace("made, lost <nil>")
	}},
	{"S051_pause_stops_delivery_and_is_idempotent", func(k *kit) {
		k.connect()
		k.do(func() {
			k.tr().PauseReading()
			k.tr().PauseReading()
		})
		k.send("held")
		k.quiet()
		k.waitTrace("made")
		k.do(func() { k.tr().ResumeReading() })
		k.waitTrace("made, data 4")
		k.do(func() {
			k.tr().Close()
			k.tr().PauseReading()
		})
	}},
	{"S052_resume_is_idempotent", func(k *kit) {
		k.connect()
		k.do(func() {
			k.tr().ResumeReading()
			k.tr().PauseReading()
			k.tr().ResumeReading()
			k.tr().ResumeReading()
		})
		k.send("once")
		k.waitTrace("made, data 4")
		k.do(func() {
			k.tr().Close()
			k.tr().ResumeReading()
			if k.tr().IsReading() {
				k.Error("reads after Close and ResumeReading")
			}
		})
	}},
	{"S053_pause_in_ConnectionMade", func(k *kit) {
		k.rec.On.Made = func(t transport.Transport) { t.PauseReading() }
		k.connect()
		k.send("wait for it")
		k.quiet()
		k.waitTrace("made")
		k.do(func() { k.tr().ResumeReading() })
		k.waitTrace("made, data 11")
	}},
	{"S054_pause_in_DataReceived", func(k *kit) {
		k.rec.On.Data = func([]byte) { k.tr().PauseReading() }
		k.connect()
		const size = 1 << 20
		k.do(func() { k.mustWrite(k.pt(), pattern(0, size)) })
		k.wait("the first chunk", func() bool { return k.rec.Count("data") == 1 })
		for k.rec.Received() < size {
			before := k.rec.Count("data")
			k.do(func() { k.tr().ResumeReading() })
			k.wait("the next chunk", func() bool { return k.rec.Count("data") > before })
			k.do(func() {
				if n := k.rec.Count("data"); n != before+1 {
					k.Errorf("%d chunks after one ResumeReading", n-before)
				}
			})
		}
		if !bytes.Equal(k.rec.Data(), pattern(0, size)) {
			k.Error("data changed on its way")
		}
	}},
	{"S055_resume_in_DataReceived_does_not_recurse", func(k *kit) {
		k.rec.On.Data = func([]byte) {
			k.tr().PauseReading()
			k.tr().ResumeReading()
		}
		k.connect()
		const size = 1 << 20
		k.do(func() { k.mustWrite(k.pt(), pattern(0, size)) })
		k.wait("all data", func() bool { return k.rec.Received() >= size })
		for _, e := range k.rec.Events() {
			if e.Depth > 0 {
				k.Fatalf("%v at depth %d", e, e.Depth)
			}
		}
	}},
	{"S056_pause_and_resume_lose_and_repeat_nothing", func(k *kit) {
		k.connect()
		const size, rounds = 8 << 10, 50
		for i := range rounds {
			k.do(func() {
				k.mustWrite(k.pt(), pattern(i*size, size))
				k.tr().PauseReading()
				if i%3 == 0 {
					k.tr().ResumeReading()
				}
			})
			k.do(func() { k.tr().ResumeReading() })
		}
		k.wait("all data", func() bool { return k.rec.Received() >= size*rounds })
		if !bytes.Equal(k.rec.Data(), pattern(0, size*rounds)) {
			k.Error("data lost, doubled or out of order")
		}
	}},
	{"S057_held_data_comes_before_newer_data", func(k *kit) {
		k.connect()
		k.do(func() { k.tr().PauseReading() })
		k.send("first ")
		k.quiet()
		k.do(func() {
			k.tr().ResumeReading()
			k.tr().PauseReading() // again, before the held data is delivered
		})
		k.send("second ")
		k.quiet()
		k.waitTrace("made")
		k.do(func() { k.tr().ResumeReading() })
		k.send("third")
		k.wait("all data", func() bool { return string(k.rec.Data()) == "first second third" })
	}},
	{"S058_held_EOF_is_delivered_on_resume", func(k *kit) {
		k.connect()
		k.do(func() { k.tr().PauseReading() })
		k.do(k.endInput)
		k.quiet()
		k.waitTrace("made")
		k.do(func() { k.tr().ResumeReading() })
		k.waitTrace("made, eof, lost <nil>")
	}},
	{"S059_completions_after_close_and_abort_are_discarded", func(k *kit) {
		for _, end := range []func(){
			func() { k.tr().Close() }, func() { k.tr().Abort() },
		} {
			k.rec.On.Data = func([]byte) { end() }
			k.connect()
			k.do(func() {
				k.mustWrite(k.pt(), pattern(0, 1<<20)) // more than one completion brings
				k.pt().Close()
			})
			k.waitLostNil()
			if n := k.rec.Count("data"); n != 1 || k.rec.GotEOF() {
				k.Errorf("trace %s", k.rec.Trace())
			}
			k.finish()
			k.rec, k.peer = NewRecorder(k.T), NewRecorder(k.T)
		}
		k.link = nil
	}},
	{"S060_IsReading", func(k *kit) {
		k.connect()
		k.do(func() {
			at := []bool{k.tr().IsReading()}
			k.tr().PauseReading()
			at = append(at, k.tr().IsReading())
			k.tr().ResumeReading()
			at = append(at, k.tr().IsReading())
			k.tr().Close()
			at = append(at, k.tr().IsReading())
			if !at[0] || at[1] || !at[2] || at[3] {
				k.Errorf("IsReading at first, paused, resumed, closed: %v", at)
			}
		})
	}},
	{"S061_reading_starts_after_ConnectionMade", func(k *kit) {
		k.peer.On.Made = func(t transport.Transport) { k.mustWrite(t, []byte("hello")) }
		inside := true
		k.rec.On.Made = func(transport.Transport) {
			k.rec.On.Data = func([]byte) {
				if inside {
					k.Error("DataReceived before the end of ConnectionMade")
				}
			}
			inside = false
		}
		k.connect()
		k.waitTrace("made, data 5")
	}},
	{"S067_data_before_EOF", func(k *kit) {
		k.connect()
		k.do(func() {
			k.mustWrite(k.pt(), pattern(0, 100000))
			k.pt().Close()
		})
		k.waitTrace("made, data 100000, eof, lost <nil>")
	}},
}
