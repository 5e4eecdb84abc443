package transporttest

import (
	"errors"
	"slices"

	"github.com/sluice-net/sluice/transport"
)

// writingCases are cases of section C: what is written arrives.
var writingCases = []kitCase{
	{"S068_bytes_in_call_order", func(k *kit) {
		k.connect()
		k.do(func() {
			for i := range 60 {
				k.writeSomehow(i, 1+i*i*20)
			}
		})
		k.waitPeerGot()
	}},
	{"S069_empty_write_does_nothing", func(k *kit) {
		k.connect()
		k.do(func() {
			if n, err := k.tr().Write(nil); n != 0 || err != nil || k.tr().WriteBufferSize() != 0 {
				k.Errorf("Write(nil): %d, %v", n, err)
			}
			k.write(3)
		})
		k.waitPeerGot()
	}},
	{"S072_a_write_needs_no_further_call", func(k *kit) {
		k.connect()
		for range 10 {
			k.do(func() { k.write(1000) })
			k.waitPeerGot()
		}
		k.wait("an empty buffer", func() bool { return k.tr().WriteBufferSize() == 0 })
	}},
	{"S073_write_copies", func(k *kit) {
		k.connect()
		k.do(func() {
			for _, size := range []int{10, 5000, 100000, 1 << 20} {
				b := pattern(k.written, size)
				k.mustWrite(k.tr(), b)
				clear(b)
				k.written += size
			}
		})
		k.waitPeerGot()
	}},
	{"S074_writelines_is_as_many_writes", func(k *kit) {
		k.connect()
		k.do(func() {
			var lines [][]byte
			for i := range 3000 {
				lines = append(lines, pattern(k.written, i%70))
				k.written += i % 70
			}
			if err := k.tr().WriteLines(lines); err != nil {
				k.Error(err)
			}
		})
		k.waitPeerGot()
	}},
	{"S075_writelines_of_nothing", func(k *kit) {
		k.connect()
		k.do(func() {
			if err := k.tr().WriteLines(nil); err != nil || k.tr().WriteBufferSize() != 0 {
				k.Errorf("WriteLines(nil): %v", err)
			}
			if !k.tr().CanWriteEOF() {
				return
			}
			k.needEOF()
			if err := k.tr().WriteLines(nil); !errors.Is(err, transport.ErrEOFWritten) {
				k.Errorf("WriteLines(nil) after WriteEOF: %v", err)
			}
		})
	}},
	{"S076_writelines_with_empty_slices", func(k *kit) {
		k.connect()
		k.do(func() {
			lines := [][]byte{{}, pattern(0, 10), nil, pattern(10, 20), {}}
			if err := k.tr().WriteLines(lines); err != nil {
				k.Error(err)
			}
			k.written = 30
			k.tr().Close()
		})
		k.waitPeerGot()
		k.waitLostNil()
	}},
	{"S078_writelines_pauses", func(k *kit) {
		k.connect()
		k.clog()
		k.margin(100)
		k.do(func() {
			pauses, size := 0, 0
			k.rec.On.Pause = func() { pauses++; size = k.tr().WriteBufferSize() }
			k.setMargin(100) // some may have been sent since
			lines := [][]byte{make([]byte, 60), make([]byte, 41), make([]byte, 4<<20)}
			if err := k.tr().WriteLines(lines); err != nil {
				k.Error(err)
			}
			all := k.tr().WriteBufferSize()
			if pauses != 1 || size != all || !k.tr().WritePaused() {
				k.Errorf("%d times PauseWriting, at %d bytes of %d", pauses, size, all)
			}
		})
	}},
	{"S079_writelines_while_closing", func(k *kit) {
		k.connect()
		k.clog()
		k.do(func() {
			k.tr().Close()
			err := k.tr().WriteLines([][]byte{[]byte("more")})
			if !errors.Is(err, transport.ErrClosed) {
				k.Errorf("WriteLines: %v", err)
			}
			if lost, _ := k.rec.Lost(); lost {
				k.Error("ConnectionLost inside WriteLines")
			}
		})
		k.unclog()
		k.waitPeerGot()
		k.waitLostNil()
	}},
	{"S080_write_after_abort_and_errors_is_ErrClosed", func(k *kit) {
		k.connect()
		k.do(func() {
			k.tr().Abort()
			k.refusesToWrite("after Abort")
		})
		k.waitLostNil()
		k.finish()
		k.rec, k.peer = NewRecorder(k.T), NewRecorder(k.T)
		k.connect()
		k.needsReset()
		k.do(func() { k.rec.On.Lost = func(error) { k.refusesToWrite("after a reset") } })
		k.link.Reset()
		k.waitLost()
	}},
	{"S080_write_after_close_is_ErrClosed", func(k *kit) {
		k.connect()
		k.do(func() {
			k.tr().Close()
			for range 10 {
				n, err := k.tr().Write([]byte("x"))
				if n != 0 || !errors.Is(err, transport.ErrClosed) {
					k.Errorf("Write after Close: %d, %v", n, err)
				}
			}
		})
		k.waitLostNil()
		k.waitPeerEnd()
		if n := k.peer.Received(); n > 0 {
			k.Errorf("the peer received %d bytes", n)
		}
	}},
	{"S081_write_after_ConnectionLost_is_ErrClosed", func(k *kit) {
		k.connect()
		k.do(func() { k.pt().Close() })
		k.waitLostNil()
		k.do(func() {
			k.refusesToWrite("after ConnectionLost")
		})
	}},
	{"S082_write_while_flushing_is_ErrClosed", func(k *kit) {
		k.connect()
		k.clog()
		k.do(func() {
			k.tr().Close()
			if n, err := k.tr().Write([]byte("x")); n != 0 || !errors.Is(err, transport.ErrClosed) {
				k.Errorf("Write: %d, %v", n, err)
			}
		})
		k.unclog()
		k.waitLostNil()
		k.waitPeerGot()
		if n := k.peer.Received(); n != k.written {
			k.Errorf("the peer received %d bytes, %d were accepted", n, k.written)
		}
	}},
	{"S445_S446_output_arrives_whole_and_in_order_through_a_slow_peer", func(k *kit) {
		k.connect()
		k.clog()
		k.unclog()
		k.waitPeerGot()
		k.clog()
		k.unclog()
		k.waitPeerGot()
	}},
	{"S447_owned_slice_is_released_once_and_later", func(k *kit) {
		k.connect()
		w, ok := k.tr().(transport.OwnedWriter)
		if !ok {
			k.lacks("an OwnedWriter")
		}
		released := make([]int, 4)
		k.do(func() {
			for i, size := range []int{0, 10, 70000, 1 << 20} {
				b := pattern(k.written, size)
				k.written += size
				err := w.WriteOwned(b, func() { released[i]++; clear(b) })
				if err != nil || released[i] > 0 {
					k.Errorf("WriteOwned: %v, released inside: %v", err, released[i] > 0)
				}
			}
		})
		k.waitPeerGot()
		k.wait("every slice to be released", func() bool {
			return slices.Equal(released, []int{1, 1, 1, 1})
		})
	}},
	{"S447_owned_slice_is_released_after_abort", func(k *kit) {
		k.connect()
		w, ok := k.tr().(transport.OwnedWriter)
		if !ok {
			k.lacks("an OwnedWriter")
		}
		k.clog()
		released := 0
		k.do(func() {
			if err := w.WriteOwned(make([]byte, 1000), func() { released++ }); err != nil {
				k.Error(err)
			}
			k.tr().Abort()
			if released > 0 {
				k.Error("released inside Abort")
			}
			if err := w.WriteOwned([]byte{1}, func() { released += 10 }); !errors.Is(err,
				transport.ErrClosed) {
				k.Errorf("WriteOwned after Abort: %v", err)
			}
		})
		k.waitLostNil()
		k.wait("the release", func() bool { return released == 1 })
	}},
}

// writeSomehow writes n bytes of the pattern by one method or another.
func (k *kit) writeSomehow(i, n int) {
	w, ok := k.tr().(transport.OwnedWriter)
	switch {
	case i%3 == 1:
		b := pattern(k.written, n)
		if err := k.tr().WriteLines([][]byte{b[:n/3], b[n/3 : n/2], b[n/2:]}); err != nil {
			k.Error(err)
		}
	case i%3 == 2 && ok:
		if err := w.WriteOwned(pattern(k.written, n), nil); err != nil {
			k.Error(err)
		}
	default:
		k.mustWrite(k.tr(), pattern(k.written, n))
	}
	k.written += n
}

// refusesToWrite checks that all ways to write are closed.
func (k *kit) refusesToWrite(when string) {
	k.Helper()
	for range 6 {
		if n, err := k.tr().Write([]byte("x")); n != 0 || !errors.Is(err, transport.ErrClosed) {
			k.Errorf("Write %s: %d, %v", when, n, err)
		}
	}
	if err := k.tr().WriteLines([][]byte{{1}}); !errors.Is(err, transport.ErrClosed) {
		k.Errorf("WriteLines %s: %v", when, err)
	}
	if w, ok := k.tr().(transport.OwnedWriter); ok {
		if err := w.WriteOwned([]byte{1}, nil); !errors.Is(err, transport.ErrClosed) {
			k.Errorf("WriteOwned %s: %v", when, err)
		}
	}
}

// needEOF writes EOF.
func (k *kit) needEOF() {
	if err := k.tr().WriteEOF(); err != nil {
		k.Errorf("WriteEOF: %v", err)
	}
}
