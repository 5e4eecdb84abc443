package transporttest

import (
	"errors"
	"net"
	"syscall"

	"github.com/sluice-net/sluice/protocol"
)

// readErrorCases are cases of section B: errors, and what callbacks may do.
var readErrorCases = []kitCase{
	{"S042_read_error_is_not_reported_to_the_handler", func(k *kit) {
		k.connect()
		k.needsReset()
		k.link.Reset()
		var op *net.OpError
		var errno syscall.Errno
		if err := k.waitLost(); !errors.As(err, &op) || !errors.As(err, &errno) {
			k.Errorf("ConnectionLost(%v) is no *net.OpError around an errno", err)
		}
		if r := k.link.Reports(); len(r) > 0 {
			k.Errorf("reported: %v", r)
		}
	}},
	{"S043_reset_is_ECONNRESET", func(k *kit) {
		k.connect()
		k.needsReset()
		k.link.Reset()
		if err := k.waitLost(); !errors.Is(err, syscall.ECONNRESET) {
			k.Errorf("ConnectionLost(%v)", err)
		}
	}},
	{"S062_panic_in_DataReceived_is_fatal", func(k *kit) {
		k.rec.On.Data = func([]byte) {
			k.write(100)
			panic("planned")
		}
		k.connect()
		k.link.Expect("Fatal error: protocol.data_received() call failed.")
		k.send("boom")
		k.checkPanic("DataReceived", k.waitLost())
		k.reported("Fatal error: protocol.data_received() call failed.")
		if k.rec.Count("data") != 1 || k.rec.Count("eof") != 0 {
			k.Errorf("trace %s", k.rec.Trace())
		}
		k.wait("the peer's ConnectionLost", func() bool { lost, _ := k.peer.Lost(); return lost })
		if n := k.peer.Received(); n > 0 {
			k.Errorf("the peer received %d bytes of pending output", n)
		}
	}},
	{"S063_panic_with_an_errno_is_reported", func(k *kit) {
		k.rec.On.Data = func([]byte) { panic(syscall.EPIPE) }
		k.connect()
		k.link.Expect("Fatal error: protocol.data_received() call failed.")
		k.send("boom")
		err := k.waitLost()
		k.checkPanic("DataReceived", err)
		if !errors.Is(err, syscall.EPIPE) {
			k.Errorf("%v is not EPIPE", err)
		}
		k.reported("Fatal error: protocol.data_received() call failed.")
	}},
	{"S064_panic_in_EOFReceived_is_fatal", func(k *kit) {
		k.rec.On.EOF = func() bool { panic("planned") }
		k.connect()
		k.link.Expect("Fatal error: protocol.eof_received() call failed.")
		k.do(k.endInput)
		k.checkPanic("EOFReceived", k.waitLost())
	}},
	{"S065_close_in_DataReceived_flushes_the_reply", func(k *kit) {
		k.rec.On.Data = func([]byte) {
			if k.rec.Received() == len("question") { // what is left unread is a reset
				k.write(5000)
				k.tr().Close()
			}
		}
		k.connect()
		k.send("question")
		k.waitLostNil()
		k.waitPeerGot()
		k.waitPeerEnd()
	}},
	{"S066_abort_in_DataReceived", func(k *kit) {
		k.rec.On.Data = func([]byte) { k.tr().Abort() }
		k.connect()
		k.send("go away")
		k.waitLostNil()
		if n := k.rec.Count("data"); n != 1 {
			k.Errorf("%d times data", n)
		}
	}},
}

// checkPanic checks that err is the panic of a callback.
func (k *kit) checkPanic(callback string, err error) {
	k.Helper()
	var p *protocol.PanicError
	if !errors.As(err, &p) || p.Callback != callback || len(p.Stack) == 0 {
		k.Errorf("%v (%T) is not a panic in %s with its stack", err, err, callback)
	}
}
