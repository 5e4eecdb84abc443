package transporttest

import "github.com/sluice-net/sluice/transport"

// callbackCases are the cases of section D.
var callbackCases = []kitCase{
	{"S114_the_whole_automaton", func(k *kit) {
		k.rec.On.EOF = func() bool { return true }
		k.connect()
		k.needsHalfClose()
		k.send("ask")
		k.waitTrace("made, data 3")
		k.do(func() { k.pt().WriteEOF() })
		k.wait("EOF", k.rec.GotEOF)
		k.do(func() { k.tr().Close() })
		k.waitTrace("made, data 3, eof, lost <nil>")
	}},
	{"S116_callbacks_do_not_overlap", func(k *kit) {
		inside := 0
		count := func() func() {
			if inside++; inside > 1 {
				k.Error("a callback inside another one")
			}
			return func() { inside-- }
		}
		k.rec.On.Data = func(b []byte) { defer count()(); k.mustWrite(k.tr(), b) }
		k.rec.On.Lost = func(error) { defer count()() }
		k.peer.On.Data = func([]byte) { defer count()() }
		k.peer.On.Lost = func(error) { defer count()() }
		k.connect()
		k.do(func() { k.mustWrite(k.pt(), pattern(0, 1<<20)) })
		k.wait("the echo", func() bool { return k.peer.Received() == 1<<20 })
		k.do(func() { k.pt().Close() })
		k.waitLostNil()
	}},
	{"S117_only_pause_is_called_from_a_users_call", func(k *kit) {
		k.connect()
		k.clog()
		k.send("waits")
		k.do(func() {
			calling := true
			check := func(name string) {
				if calling {
					k.Errorf("%s inside a call of the transport's method", name)
				}
			}
			k.rec.On.Data = func([]byte) { check("DataReceived") }
			k.rec.On.EOF = func() bool { check("EOFReceived"); return false }
			k.rec.On.Lost = func(error) { check("ConnectionLost") }
			k.tr().PauseReading()
			k.tr().ResumeReading()
			k.write(10)
			if k.tr().CanWriteEOF() {
				k.needEOF()
			}
			k.tr().Close()
			k.tr().Abort()
			calling = false
		})
		k.waitLostNil()
	}},
	{"S118_panic_in_ConnectionMade_is_fatal", func(k *kit) {
		k.rec.On.Made = func(transport.Transport) {
			k.rec.On.Made = nil
			panic("planned")
		}
		k.connect()
		k.link.Expect("Fatal error: protocol.connection_made() call failed.")
		k.checkPanic("ConnectionMade", k.waitLost())
		k.waitPeerEnd()
	}},
	{"S120_panic_in_ConnectionLost_closes_anyway", func(k *kit) {
		k.rec.On.Lost = func(error) { panic(errPlanned) }
		k.connect()
		k.link.Expect("Exception in callback protocol.connection_lost()")
		k.do(func() { k.tr().Close() })
		k.waitPeerEnd()
	}},
}
