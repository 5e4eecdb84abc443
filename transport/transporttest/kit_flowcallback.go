package transporttest

import (
	"errors"

	"github.com/sluice-net/sluice/transport"
)

// flowCallbackCases are cases of section C: what PauseWriting and ResumeWriting may
// do.
var flowCallbackCases = []kitCase{
	{"S102_pause_is_called_inside_write", func(k *kit) {
		k.connect()
		k.clog()
		k.margin(0)
		k.do(func() {
			inside, writing := false, true
			k.rec.On.Pause = func() { inside = writing }
			k.setMargin(0) // some may have been sent since
			k.write(1)
			writing = false
			if !inside {
				k.Error("PauseWriting was not called inside Write")
			}
		})
	}},
	{"S102_pause_is_called_inside_the_other_calls", func(k *kit) {
		k.connect()
		tooMuch := make([]byte, 4<<20) // also where a late ACK has made room
		calls := map[string]func() error{
			"WriteLines": func() error { return k.tr().WriteLines([][]byte{tooMuch}) },
			"SetWriteBufferLimits": func() error {
				size := k.tr().WriteBufferSize()
				return k.tr().SetWriteBufferLimits(transport.Limits{High: size - 1})
			},
		}
		if w, ok := k.tr().(transport.OwnedWriter); ok {
			calls["WriteOwned"] = func() error { return w.WriteOwned(tooMuch, nil) }
		}
		for name, call := range calls {
			k.clog()
			k.margin(0)
			k.do(func() {
				inside := false
				k.rec.On.Pause = func() { inside = true }
				k.setMargin(0)
				if err := call(); err != nil || !inside {
					k.Errorf("%s: %v, PauseWriting was called inside: %v", name, err, inside)
				}
				k.rec.On.Pause = nil
			})
		}
	}},
	{"S103_write_in_resume", func(k *kit) {
		k.connect()
		k.clog()
		again := 3
		k.do(func() {
			k.rec.On.Resume = func() {
				if again > 0 {
					again--
					k.writeUntilPaused()
				}
			}
		})
		k.unclog()
		k.wait("three more writes", func() bool { return again == 0 })
		k.waitPeerGot()
		k.wait("the last ResumeWriting", func() bool { return !k.tr().WritePaused() })
		if p, r := k.rec.Count("pause"), k.rec.Count("resume"); p != r {
			k.Errorf("%d times paused, %d times resumed", p, r)
		}
	}},
	{"S106_panic_in_pause_and_resume_is_survived", func(k *kit) {
		k.connect()
		k.link.Expect("protocol.pause_writing() failed")
		k.link.Expect("protocol.resume_writing() failed")
		k.rec.On.Pause = func() { k.rec.On.Pause = nil; panic(errPlanned) }
		k.rec.On.Resume = func() { k.rec.On.Resume = nil; panic(errPlanned) }
		k.clog()
		k.unclog()
		k.waitPeerGot()
		k.wait("the reports", func() bool { return len(k.link.Reports()) == 2 })
		for callback, message := range map[string]string{
			"PauseWriting":  "protocol.pause_writing() failed",
			"ResumeWriting": "protocol.resume_writing() failed",
		} {
			err := k.reported(message)
			k.checkPanic(callback, err)
			if !errors.Is(err, errPlanned) {
				k.Errorf("report with %v", err)
			}
		}
		k.do(func() {
			if k.tr().IsClosing() {
				k.Error("closing after a panic in PauseWriting")
			}
		})
	}},
	{"S107_close_in_pause", func(k *kit) {
		k.connect()
		k.rec.On.Pause = func() { k.tr().Close() }
		k.do(func() {
			k.pt().PauseReading()
			for !k.tr().IsClosing() {
				k.write(k.piece(1 << 20))
			}
		})
		k.unclog()
		k.waitPeerGot()
		k.waitLostNil()
	}},
	{"S107_abort_in_pause", func(k *kit) {
		k.connect()
		k.rec.On.Pause = func() { k.tr().Abort() }
		k.do(func() {
			k.pt().PauseReading()
			for !k.tr().IsClosing() {
				k.write(k.piece(1 << 20))
			}
		})
		k.waitLostNil()
	}},
	{"S108_resume_while_flushing_after_close", func(k *kit) {
		k.connect()
		k.clog()
		resumes := k.rec.Count("resume")
		k.do(func() { k.tr().Close() })
		k.unclog()
		k.waitLostNil()
		if n := k.rec.Count("resume"); n != resumes+1 {
			k.Errorf("%d times resumed while flushing", n-resumes)
		}
	}},
	{"S108_abort_in_resume_while_flushing", func(k *kit) {
		k.connect()
		k.clog()
		k.do(func() {
			k.rec.On.Resume = func() { k.tr().Abort() }
			k.tr().Close()
		})
		k.unclog()
		k.waitLostNil()
	}},
	{"S109_no_resume_on_abort", func(k *kit) {
		k.connect()
		k.clog()
		resumes := k.rec.Count("resume")
		k.do(func() { k.tr().Abort() })
		k.waitLostNil()
		if n := k.rec.Count("resume"); n != resumes {
			k.Errorf("%d times resumed by Abort", n-resumes)
		}
	}},
}
