package tls_test

import (
	"context"
	"errors"
	"slices"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// act does something with the end's transport, if there is one yet.
func (e *tlsEnd) act() {
	c := e.c
	if e.tr == nil || c.acts <= 0 || c.quiet {
		return
	}
	c.acts--
	switch c.r.IntN(24) {
	case 0:
		e.tr.Close()
	case 1:
		if c.r.IntN(3) == 0 {
			e.tr.Abort()
		}
	case 2, 3, 4:
		e.tr.PauseReading()
		c.l.CallLater(c.soon()/4, e.tr.ResumeReading)
	case 5:
		e.tr.PauseReading()
		e.tr.ResumeReading()
	case 6, 7:
		e.limit()
	case 8, 9:
		e.change()
	case 10:
		e.upgrade()
	case 11:
		e.upgrade()
		c.l.CallSoon(e.peer.upgrade)
	case 12, 13, 14, 15:
		e.lend()
	default:
		e.write()
	}
}

// data is what to write next.
func (e *tlsEnd) data() []byte {
	r := e.c.r
	data := make([]byte, r.IntN(1+r.IntN(1<<r.IntN(18))))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

// usable reports whether the application may write: not while it waits for StartTLS.
func (e *tlsEnd) usable() bool { return !e.upgrades }

func (e *tlsEnd) write() {
	if !e.usable() {
		return
	}
	data := e.data()
	k := e.c.r.IntN(len(data) + 1)
	take := e.claim(data)
	var err error
	if e.c.r.IntN(3) == 0 {
		err = e.tr.WriteLines([][]byte{data[:k], nil, data[k:]})
	} else {
		_, err = e.tr.Write(data)
	}
	take(err)
}

// claim notes that data is written, before the callbacks that may write more. What it
// returns is called with the result, and takes back what was not accepted.
func (e *tlsEnd) claim(data []byte) func(error) {
	layer := e.top()
	at := len(layer.sent)
	layer.sent = append(layer.sent, data...)
	return func(err error) {
		if err == nil {
			return
		}
		layer.sent = slices.Delete(layer.sent, at, at+len(data))
		if !errors.Is(err, transport.ErrClosed) {
			e.c.t.Errorf("%v: %v", e.tr, err)
		}
	}
}

// lend writes memory that is taken back when it is released.
func (e *tlsEnd) lend() {
	w, ok := e.tr.(transport.OwnedWriter)
	if !ok || !e.usable() {
		return
	}
	data, inCall := e.data(), true
	take := e.claim(data)
	e.c.owned++
	released := false
	err := w.WriteOwned(data, func() {
		if released || inCall {
			e.c.t.Errorf("%v: released twice (%v) or inside WriteOwned", e.tr, released)
		}
		released = true
		e.c.owned--
		clear(data)
		e.inside()
	})
	inCall = false
	if err != nil {
		e.c.owned--
	}
	take(err)
}

// limit changes the marks.
func (e *tlsEnd) limit() {
	r := e.c.r
	l := transport.Limits{High: r.IntN(1 << r.IntN(20))}
	l.Low = r.IntN(l.High + 1)
	if err := e.tr.SetWriteBufferLimits(l); err != nil {
		e.c.t.Error(err)
	}
	if err := e.tr.(readLimiter).SetReadBufferLimits(l); err != nil {
		e.c.t.Error(err)
	}
}

// change gives the transport another protocol.
func (e *tlsEnd) change() {
	if e.lost > 0 || e.upgrades {
		return
	}
	p := e.protocol(transporttest.Successor(e.c.t, e.tr))
	if err := e.tr.SetProtocol(p); err != nil {
		e.c.t.Errorf("%v: SetProtocol: %v", e.tr, err)
	}
}

// upgrade puts TLS on top.
func (e *tlsEnd) upgrade() {
	if e.tr == nil || e.lost > 0 || e.upgrades || e.tr.IsClosing() {
		return
	}
	config := rig.ServerTLS()
	if !e.server {
		config = rig.ClientTLS()
		config.ServerName = "sluice.test"
	}
	e.upgrades = true
	e.layers = append(e.layers, &tlsLayer{})
	rec := transporttest.Successor(e.c.t, e.tr)
	p := e.protocol(rec)
	e.c.l.StartTLSFunc(context.Background(), e.tr, p, config, &loop.TLSOptions{
		ServerSide: e.server}, func(tr transport.Transport, err error) {
		e.upgrades = false
		if err == nil {
			e.tr = tr
			rec.SetTransport(tr)
		}
	})
}
