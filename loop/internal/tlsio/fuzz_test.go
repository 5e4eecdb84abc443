package tlsio_test

import (
	"crypto/tls"
	"testing"
)

// FuzzPeer has a peer whose bytes are all right except some: a handshake and data with
// a patch somewhere. Whatever that is, both sides must end, with ConnectionLost
// where there was ConnectionMade, and nothing may panic.
func FuzzPeer(f *testing.F) {
	if testing.Short() {
		f.Skip("takes longer than -short allows")
	}
	for _, patch := range []string{"", "\x00", "\xff\xff", "\x16\x03\x01\xff\xff", "\x15\x03\x03",
		"\x15\x03\x03\x00\x02\x02\x28", "\x14\x03\x03\x00\x01\x01", "GET / HTTP/1.0\r\n\r\n",
		"\x17\x03\x03\x00\x00", "\x80\x80\x01\x03\x00\x00"} {
		for _, at := range []uint16{0, 1, 5, 9, 43, 200, 400, 1000, 1500} {
			f.Add(at, []byte(patch), at%2 == 0, at%3 == 0, uint8(at))
		}
	}
	f.Fuzz(func(t *testing.T, at uint16, patch []byte, toServer, old bool, piece uint8) {
		version := uint16(tls.VersionTLS13)
		if old {
			version = tls.VersionTLS12
		}
		server, client := ends(t, version)
		from, to := client, server
		if !toServer {
			from, to = server, client
		}
		client.rec.On.Made = nil
		sent := 0
		for range 20 {
			data := from.raw.TakeWritten()
			patched := append([]byte(nil), data...)
			for i, b := range patch {
				if k := int(at) + i - sent; k >= 0 && k < len(patched) {
					patched[k] ^= b
				}
			}
			sent += len(data)
			for rest := patched; len(rest) > 0; {
				k := min(int(piece)+1, len(rest))
				to.raw.Receive(rest[:k])
				rest = rest[k:]
			}
			from.turn()
			to.turn()
			n := carry(to, from, 1<<16)
			if len(data)+n == 0 && sent > 0 {
				break
			}
			if from.tls.Established() && to.tls.Established() && sent < 20000 {
				from.tls.Write(make([]byte, 5000))
			}
		}
		for _, e := range []*end{from, to} {
			e.raw.ReceiveEOF()
			e.tls.Close()
			for range 10 {
				e.turn()
				e.host.expire()
			}
			over(t, e)
		}
	})
}

// over checks that nothing is left of a connection.
func over(t *testing.T, e *end) {
	t.Helper()
	is, _ := e.rec.Lost()
	switch {
	case len(e.done) != 1:
		t.Errorf("the handshake was answered %d times: %v", len(e.done), e.tls)
	case (e.rec.Count("made") == 1) != is:
		t.Errorf("%s", e.rec.Trace())
	case e.raw.Protocol() != nil:
		t.Errorf("%v goes on", e.tls)
	case e.host.lent != 0 || len(e.raw.Panics()) > 0 || len(e.host.reports) > 0:
		t.Errorf("%d buffers lent, %v, %v", e.host.lent, e.raw.Panics(), e.host.reports)
	}
}
