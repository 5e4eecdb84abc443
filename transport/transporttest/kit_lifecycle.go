package transporttest

import (
	"errors"

	"github.com/sluice-net/sluice/transport"
)

// lifecycleCases are cases of section A: life and end.
var lifecycleCases = []kitCase{
	{"S003_ConnectionMade_once_and_first", func(k *kit) {
		k.connect()
		k.send("hello")
		k.waitTrace("made, data 5")
	}},
	{"S006_ConnectionLost_once_and_last", func(k *kit) {
		k.connect()
		k.do(func() {
			k.tr().Close()
			k.tr().Abort()
			k.tr().Close()
			k.pt().Abort()
		})
		k.waitTrace("made, lost <nil>")
		k.quiet()
		k.waitTrace("made, lost <nil>")
	}},
	{"S007_ConnectionLost_nil_after_EOF_Close_and_Abort", func(k *kit) {
		for _, end := range []func(){
			func() { k.pt().Close() }, func() { k.tr().Close() }, func() { k.tr().Abort() },
		} {
			k.rec, k.peer = NewRecorder(k.T), NewRecorder(k.T)
			k.connect()
			k.do(end)
			k.waitLostNil()
			k.finish()
		}
		k.link = nil
	}},
	{"S007_ConnectionLost_error_after_reset", func(k *kit) {
		k.connect()
		k.needsReset()
		k.link.Reset()
		if err := k.waitLost(); err == nil {
			k.Error("ConnectionLost(nil) after a reset")
		}
	}},
	{"S008_close_flushes_then_ConnectionLost_nil", func(k *kit) {
		k.connect()
		k.clog()
		k.do(func() {
			if err := k.tr().Close(); err != nil {
				k.Error(err)
			}
			k.tr().Close()
			if k.tr().IsReading() {
				k.Error("reads after Close")
			}
		})
		k.unclog()
		k.waitPeerGot()
		k.waitLostNil()
		k.waitPeerEnd()
	}},
	{"S009_ConnectionLost_is_never_nested", func(k *kit) {
		k.connect()
		k.do(func() {
			k.tr().Close()
			if lost, _ := k.rec.Lost(); lost {
				k.Error("ConnectionLost inside Close")
			}
			k.tr().Abort()
			if lost, _ := k.rec.Lost(); lost {
				k.Error("ConnectionLost inside Abort")
			}
		})
		k.waitLostNil()
	}},
	{"S010_close_waits_for_a_peer_that_does_not_read", func(k *kit) {
		k.connect()
		k.clog()
		k.do(func() {
			k.write(4 << 20) // a late ACK may make room for some more
			k.tr().Close()
		})
		k.quiet()
		if lost, _ := k.rec.Lost(); lost {
			k.Error("lost although output was pending")
		}
	}},
	{"S011_failed_flush_is_the_error_of_ConnectionLost", func(k *kit) {
		k.connect()
		k.needsReset()
		k.clog()
		k.do(func() { k.tr().Close() })
		k.link.Reset()
		if err := k.waitLost(); err == nil {
			k.Error("ConnectionLost(nil) although the output was lost")
		}
	}},
	{"S012_data_after_close_is_not_delivered", func(k *kit) {
		k.connect()
		k.clog()
		k.do(func() { k.tr().Close() })
		k.send("too late")
		k.quiet()
		if k.rec.Received() > 0 {
			k.Error("data after Close")
		}
	}},
	{"S014_IsClosing_stays_true", func(k *kit) {
		k.connect()
		k.do(func() {
			before := k.tr().IsClosing()
			k.tr().Close()
			if before || !k.tr().IsClosing() {
				k.Error("IsClosing is not what Close makes it")
			}
		})
		k.waitLostNil()
		k.do(func() {
			if !k.tr().IsClosing() {
				k.Error("not closing after ConnectionLost")
			}
		})
	}},
	{"S014_IsClosing_after_Abort_and_an_error", func(k *kit) {
		k.connect()
		k.do(func() {
			k.tr().Abort()
			if !k.tr().IsClosing() {
				k.Error("not closing after Abort")
			}
		})
		k.waitLostNil()
		k.finish()
		k.rec, k.peer = NewRecorder(k.T), NewRecorder(k.T)
		k.connect()
		k.needsReset()
		closing := false
		k.do(func() { k.rec.On.Lost = func(error) { closing = k.tr().IsClosing() } })
		k.link.Reset()
		k.waitLost()
		k.do(func() {
			if !closing || !k.tr().IsClosing() {
				k.Errorf("IsClosing: %v in ConnectionLost, %v after it", closing,
					k.tr().IsClosing())
			}
		})
	}},
	{"S014_IsClosing_after_EOF", func(k *kit) {
		k.connect()
		closing := false
		k.do(func() {
			k.rec.On.Lost = func(error) { closing = k.tr().IsClosing() }
			k.pt().Close()
		})
		k.waitLostNil()
		if !closing {
			k.Error("not closing after EOF")
		}
	}},
	{"S015_abort_drops_output", func(k *kit) {
		k.connect()
		k.clog()
		k.do(func() {
			k.tr().Abort()
			if n := k.tr().WriteBufferSize(); n != 0 || !k.tr().IsClosing() {
				k.Errorf("after Abort: %d bytes buffered, closing %v", n, k.tr().IsClosing())
			}
		})
		k.waitLostNil()
	}},
	{"S016_abort_after_close_completes", func(k *kit) {
		k.connect()
		k.clog()
		k.do(func() {
			k.tr().Close()
			k.tr().Abort()
			k.tr().Abort()
			k.tr().Close()
		})
		k.waitLostNil()
	}},
	{"S017_calls_after_ConnectionLost_are_harmless", func(k *kit) {
		k.connect()
		k.do(func() { k.tr().Close() })
		k.waitLostNil()
		k.do(func() {
			t := k.tr()
			t.Close()
			t.Abort()
			t.PauseReading()
			t.ResumeReading()
			t.SetWriteBufferLimits(transport.Limits{})
			if t.WriteBufferSize() != 0 || t.IsReading() ||
				t.CanWriteEOF() && t.WriteEOF() != nil {
				k.Error("a dead transport reads, or holds bytes, or fails in WriteEOF")
			}
		})
	}},
	{"S018_abort_is_no_reset", func(k *kit) {
		k.connect()
		k.do(func() { k.tr().Abort() })
		k.waitPeerEnd()
		if !k.peer.GotEOF() {
			k.Error("the peer got no EOF")
		}
	}},
	{"S019_socket_is_open_in_ConnectionLost", func(k *kit) {
		k.connect()
		if k.tr().ExtraInfo("socket") == nil {
			k.lacks("a transport with a socket of its own")
		}
		usable := false
		k.do(func() {
			k.rec.On.Lost = func(error) {
				s, ok := transport.Socket(k.tr())
				usable = ok && s.Control(func(fd uintptr) {}) == nil
				panic(errPlanned)
			}
			k.link.Expect("Exception in callback")
			k.tr().Close()
		})
		k.waitLostNil()
		k.waitPeerEnd()
		k.do(func() {
			if _, ok := transport.Socket(k.tr()); ok || !usable {
				k.Errorf("socket usable in ConnectionLost: %v, afterwards: %v", usable, ok)
			}
		})
	}},
	{"S020_Protocol_is_nil_after_ConnectionLost", func(k *kit) {
		k.connect()
		k.do(func() { k.tr().Close() })
		k.waitLostNil()
		k.do(func() {
			if p := k.tr().Protocol(); p != nil {
				k.Errorf("Protocol() = %v", p)
			}
			if err := k.tr().SetProtocol(k.rec); !errors.Is(err, transport.ErrClosed) {
				k.Errorf("SetProtocol: %v", err)
			}
		})
	}},
}
