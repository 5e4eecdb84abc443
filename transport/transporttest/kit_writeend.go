package transporttest

import (
	"errors"
	"syscall"

	"github.com/sluice-net/sluice/transport"
)

// writeEndCases are cases of section C: errors and the end of writing.
var writeEndCases = []kitCase{
	{"S070_ErrEOFWritten_also_for_an_empty_write", func(k *kit) {
		k.connect()
		k.needsHalfClose()
		k.do(func() {
			k.needEOF()
			if _, err := k.tr().Write(nil); !errors.Is(err, transport.ErrEOFWritten) {
				k.Errorf("Write(nil): %v", err)
			}
			k.tr().Close()
			if _, err := k.tr().Write(nil); !errors.Is(err, transport.ErrEOFWritten) {
				k.Errorf("Write(nil) after Close: %v", err)
			}
		})
	}},
	{"S083_write_error_goes_to_ConnectionLost_alone", func(k *kit) {
		k.connect()
		k.needsReset()
		k.clog()
		k.link.Reset()
		k.do(func() {
			lost, _ := k.rec.Lost()
			if _, err := k.tr().Write([]byte("x")); err != nil && !errors.Is(err,
				transport.ErrClosed) {
				k.Errorf("Write returned %v", err)
			}
			if now, _ := k.rec.Lost(); now != lost {
				k.Error("ConnectionLost inside Write")
			}
		})
		if err := k.waitLost(); err == nil {
			k.Error("ConnectionLost(nil)")
		}
		if n := k.tr().WriteBufferSize(); n != 0 {
			k.Errorf("%d bytes buffered after the error", n)
		}
	}},
	{"S084_write_to_a_dead_peer_is_EPIPE_or_ECONNRESET", func(k *kit) {
		k.connect()
		k.needsReset()
		k.do(func() { k.tr().PauseReading() })
		k.link.Reset()
		k.quiet()
		k.waitTrace("made") // statement 49: a pause hides the reset
		k.do(func() { k.write(10) })
		err := k.waitLost()
		if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			k.Errorf("ConnectionLost(%v)", err)
		}
	}},
	{"S085_write_eof_half_closes", func(k *kit) {
		k.peer.On.EOF = func() bool { return true }
		k.connect()
		k.needsHalfClose()
		k.do(func() {
			k.write(1000)
			k.needEOF()
			k.needEOF()
			if k.tr().IsClosing() || !k.tr().IsReading() {
				k.Error("WriteEOF closed the transport, or stopped reading")
			}
		})
		k.wait("the peer's EOF", k.peer.GotEOF)
		k.waitPeerGot()
		k.send("still there?")
		k.waitTrace("made, data 12")
		k.do(func() {
			k.tr().Close()
			k.needEOF()
		})
		k.waitLostNil()
	}},
	{"S086_write_after_write_eof_is_ErrEOFWritten", func(k *kit) {
		k.connect()
		k.needsHalfClose()
		k.do(func() {
			k.needEOF()
			if n, err := k.tr().Write([]byte("x")); n != 0 || !errors.Is(err,
				transport.ErrEOFWritten) {
				k.Errorf("Write: %d, %v", n, err)
			}
			if err := k.tr().WriteLines([][]byte{{1}}); !errors.Is(err, transport.ErrEOFWritten) {
				k.Errorf("WriteLines: %v", err)
			}
		})
	}},
	{"S087_CanWriteEOF_says_whether_WriteEOF_can", func(k *kit) {
		k.connect()
		k.do(func() {
			switch err := k.tr().WriteEOF(); {
			case k.tr().CanWriteEOF() && err != nil:
				k.Errorf("CanWriteEOF is true, WriteEOF: %v", err)
			case !k.tr().CanWriteEOF() && err == nil:
				k.Error("CanWriteEOF is false, WriteEOF returns nil")
			case k.tr().CanWriteEOF() && k.tr().IsReading() && k.tr().IsClosing():
				k.Error("WriteEOF of a transport with both directions closes it")
			}
		})
		if k.tr().CanWriteEOF() {
			k.wait("the peer's EOF", k.peer.GotEOF)
		}
	}},
	{"S088_EOF_exactly_after_the_last_byte", func(k *kit) {
		k.peer.On.EOF = func() bool { return true }
		k.connect()
		k.needsHalfClose()
		k.clog()
		k.do(k.needEOF)
		k.quiet()
		if k.peer.GotEOF() {
			k.Error("EOF before the data")
		}
		k.unclog()
		k.wait("the peer's EOF", k.peer.GotEOF)
		k.waitPeerGot()
	}},
	{"S089_write_eof_on_a_dead_connection_is_not_fatal", func(k *kit) {
		k.connect()
		k.needsHalfClose()
		k.needsReset()
		k.do(func() { k.tr().PauseReading() })
		k.link.Reset()
		k.quiet()
		k.do(func() {
			_ = k.tr().WriteEOF() // an error may be returned or not
			if k.tr().IsClosing() {
				k.Error("WriteEOF closed the transport")
			}
		})
	}},
	{"S090_close_after_write_eof", func(k *kit) {
		k.connect()
		k.needsHalfClose()
		k.clog()
		k.do(func() {
			k.needEOF()
			k.tr().Close()
		})
		k.unclog()
		k.waitLostNil()
		k.waitPeerGot()
		k.waitPeerEnd()
	}},
}
