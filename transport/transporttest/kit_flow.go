package transporttest

import (
	"errors"

	"github.com/sluice-net/sluice/transport"
)

// flowCases are cases of section C: the write buffer and its marks.
var flowCases = []kitCase{
	{"S091_size_is_what_the_kernel_has_not_taken", func(k *kit) {
		k.connect()
		k.clog()
		k.do(func() {
			before := k.tr().WriteBufferSize()
			k.write(123)
			if n := k.tr().WriteBufferSize(); n != before+123 {
				k.Errorf("size %d, was %d before 123 bytes more", n, before)
			}
			if held := k.written - k.peer.Received(); k.tr().WriteBufferSize() > held {
				k.Errorf("size %d is more than the %d not received",
					k.tr().WriteBufferSize(), held)
			}
		})
		k.unclog()
		k.waitPeerGot()
		k.wait("an empty buffer", func() bool { return k.tr().WriteBufferSize() == 0 })
	}},
	{"S093_default_limits", func(k *kit) {
		k.connect()
		k.do(func() {
			if l := k.tr().WriteBufferLimits(); l != k.limits() {
				k.Errorf("limits %+v", l)
			}
		})
	}},
	{"S095_limits_derived_from_one_mark", func(k *kit) {
		k.connect()
		k.do(func() {
			for _, c := range []struct{ set, want transport.Limits }{
				{transport.Limits{High: 1000, Low: -1}, transport.Limits{High: 1000, Low: 250}},
				{transport.Limits{High: -1, Low: 100}, transport.Limits{High: 400, Low: 100}},
				{transport.Limits{High: -1, Low: -1}, k.limits()},
				{transport.Limits{High: 7, Low: 7}, transport.Limits{High: 7, Low: 7}},
			} {
				err := k.tr().SetWriteBufferLimits(c.set)
				if got := k.tr().WriteBufferLimits(); err != nil || got != c.want {
					k.Errorf("SetWriteBufferLimits(%+v): %+v, %v", c.set, got, err)
				}
			}
		})
	}},
	{"S096_bad_limits_change_nothing", func(k *kit) {
		k.connect()
		k.do(func() {
			err := k.tr().SetWriteBufferLimits(transport.Limits{High: 10, Low: 11})
			got := k.tr().WriteBufferLimits()
			if !errors.Is(err, transport.ErrBadLimits) || got != k.limits() {
				k.Errorf("%v, limits %+v", err, got)
			}
		})
	}},
	{"S097_high_zero_pauses_when_anything_is_left", func(k *kit) {
		k.connect()
		k.do(func() {
			if err := k.tr().SetWriteBufferLimits(transport.Limits{}); err != nil {
				k.Error(err)
			}
			k.write(10) // the kernel takes all
			if k.tr().WritePaused() {
				k.Error("paused although nothing is left")
			}
		})
		k.clog()
		k.unclog()
		k.waitPeerGot()
		k.wait("ResumeWriting", func() bool { return !k.tr().WritePaused() })
	}},
	{"S098_S099_pause_strictly_above_the_high_mark", func(k *kit) {
		k.connect()
		for moved := true; moved; {
			k.clog()
			k.margin(100)
			k.do(func() {
				moved = k.tr().WriteBufferSize()+100 != k.tr().WriteBufferLimits().High
				if moved {
					return // some more was taken after all
				}
				before := k.rec.Count("pause")
				k.write(100)
				if k.rec.Count("pause") != before || k.tr().WritePaused() {
					k.Error("paused at the high mark")
				}
				k.write(1)
				if k.rec.Count("pause") != before+1 || !k.tr().WritePaused() {
					k.Error("not paused beyond the high mark")
				}
			})
		}
	}},
	{"S109_ConnectionLost_ends_a_pause", func(k *kit) {
		k.connect()
		k.clog()
		paused := true
		k.do(func() {
			k.rec.On.Lost = func(error) { paused = k.tr().WritePaused() }
			k.tr().Abort()
		})
		k.waitLost()
		k.do(func() {
			if paused || k.tr().WritePaused() {
				k.Errorf("WritePaused is %v in ConnectionLost, %v after it", paused,
					k.tr().WritePaused())
			}
		})
	}},
	{"S100_no_second_pause_before_a_resume", func(k *kit) {
		k.connect()
		k.clog()
		k.do(func() {
			before := k.rec.Count("pause")
			for range 10 {
				k.write(100)
			}
			if n := k.rec.Count("pause"); n != before {
				k.Errorf("paused %d times more", n-before)
			}
		})
	}},
	{"S101_resume_at_the_low_mark", func(k *kit) {
		k.connect()
		k.clog()
		low := 0
		k.do(func() {
			k.rec.On.Resume = func() { low = k.tr().WriteBufferSize() }
			high := k.tr().WriteBufferSize() - 1
			err := k.tr().SetWriteBufferLimits(transport.Limits{High: high, Low: 0})
			if err != nil {
				k.Error(err)
			}
		})
		resumes := k.rec.Count("resume")
		k.unclog()
		k.waitPeerGot()
		k.wait("ResumeWriting", func() bool { return k.rec.Count("resume") == resumes+1 })
		if low != 0 {
			k.Errorf("resumed at %d bytes with low mark 0", low)
		}
	}},
	{"S104_lowering_high_below_the_size_pauses_at_once", func(k *kit) {
		k.connect()
		k.clog()
		k.margin(100)
		k.do(func() {
			if k.tr().WritePaused() {
				k.Error("paused below the high mark")
			}
			err := k.tr().SetWriteBufferLimits(transport.Limits{High: 10, Low: 1})
			if err != nil || !k.tr().WritePaused() {
				k.Errorf("paused %v, %v", k.tr().WritePaused(), err)
			}
		})
	}},
	{"S105_raising_low_to_the_size_resumes_soon", func(k *kit) {
		k.connect()
		k.clog()
		before := k.rec.Count("resume")
		k.do(func() {
			size := k.tr().WriteBufferSize()
			err := k.tr().SetWriteBufferLimits(transport.Limits{High: size, Low: size})
			if err != nil || k.rec.Count("resume") != before {
				k.Errorf("ResumeWriting inside SetWriteBufferLimits, or %v", err)
			}
		})
		k.wait("ResumeWriting", func() bool { return k.rec.Count("resume") == before+1 })
	}},
}
