package tlsio_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sluice-net/sluice/loop/internal/tlsio"
	"github.com/sluice-net/sluice/protocol"
)

func TestRecordsAreFollowedWhereverTheyAreCut(t *testing.T) {
	data := []byte("\x17\x03\x03\x00\x03abc" + "\x15\x03\x03\x00\x00" + "\x17\x03\x03\x01\x00" +
		string(make([]byte, 256)))
	ends := map[int]bool{0: true, 8: true, 13: true, len(data): true}
	whole := func(from, to int) (n int) {
		for _, at := range []int{8, 13, len(data)} {
			if from < at && at <= to {
				n++
			}
		}
		return n
	}
	for a := range data {
		for b := a; b <= len(data); b++ {
			n, end := tlsio.Records(data[:a], data[a:b])
			if n != whole(a, b) || end != ends[b] {
				t.Fatalf("cut at %d and %d: %d records, at an end: %v", a, b, n, end)
			}
		}
	}
}

// cutter plays a client whose bytes come in pieces of any size.
type cutter struct {
	t              *testing.T
	rand           *rand.Rand
	server, client *end
	next           byte
	sent           []byte
}

// write has the client write n bytes.
func (c *cutter) write(n int) {
	message := make([]byte, n)
	for i := range message {
		message[i] = c.next
		c.next++
	}
	c.sent = append(c.sent, message...)
	c.client.tls.Write(message)
	c.client.turn()
}

// deliver cuts what the client has written and looks behind each piece.
func (c *cutter) deliver() {
	data := c.client.raw.TakeWritten()
	for len(data) > 0 {
		n := min(len(data), 1+c.rand.IntN(1<<c.rand.IntN(16)))
		c.server.raw.Receive(data[:n])
		data = data[n:]
		for !c.server.tls.IsReading() {
			if c.server.tls.IsClosing() {
				c.t.Fatalf("%v: %s", c.server.tls, c.server.host.reports)
			}
			c.server.tls.ResumeReading()
			c.server.turn()
		}
		if n, err := c.server.tls.Behind(); n != 0 || err != nil {
			c.t.Fatalf("crypto/tls had %d bytes more, %v", n, err)
		}
	}
}

// Crypto/tls is not asked for plaintext when it has none; it must be when it has.
func TestNothingStaysBehindWhereverTheBytesAreCut(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for _, buffer := range []int{0, 1, 100, 70_000} {
		t.Run(fmt.Sprintf("buffer of %d", buffer), func(t *testing.T) {
			eachVersion(t, func(t *testing.T, version uint16) { cutUp(t, version, buffer) })
		})
	}
}

// cutUp runs a cutter; a buffer of 0 bytes means a plain protocol.
func cutUp(t *testing.T, version uint16, buffer int) {
	c := &cutter{t: t, rand: rand.New(rand.NewPCG(uint64(version), uint64(buffer)))}
	s, config := configs(version)
	c.client = newEnd(t, false, config)
	c.server = newEndOf(t, true, s, func(e *end) protocol.Protocol {
		if buffer > 0 {
			return e.rec.Buffered(buffer)
		}
		return e.rec
	})
	exchange(c.server, c.client, 1<<16)
	pause := func() {
		if c.rand.IntN(4) == 0 {
			c.server.tls.PauseReading()
		}
	}
	c.server.rec.On.Data = func([]byte) { pause() }
	c.server.rec.On.Updated = func(int) { pause() }
	sizes := []int{1, 99, 100, 101, 200, 1000, 5000, 16 << 10, 20_000}
	if buffer == 1 {
		sizes = sizes[:5] // or there are too many callbacks
	}
	for range 60 {
		for range 1 + c.rand.IntN(4) {
			c.write(sizes[c.rand.IntN(len(sizes))])
		}
		c.deliver()
	}
	if got := c.server.rec.Data(); !bytes.Equal(got, c.sent) {
		t.Errorf("%d bytes of %d, or others", len(got), len(c.sent))
	}
	c.client.tls.Close()
	exchange(c.server, c.client, 7)
	for _, e := range []*end{c.server, c.client} {
		if is, err := e.rec.Lost(); !is || err != nil {
			t.Errorf("lost %v, %v: %v", is, err, e.tls)
		}
	}
}

// The end of a session is seen as soon as it is there, also right behind a record.
func TestCloseNotifyBehindARecordIsSeenAtOnce(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		server, client := ends(t, version)
		exchange(server, client, 1<<16)
		client.tls.Write([]byte("the last record"))
		client.tls.Close()
		server.raw.Receive(client.raw.TakeWritten())
		if server.rec.Count("eof") != 1 || string(server.rec.Data()) != "the last record" {
			t.Errorf("%s", server.rec.Trace())
		}
		exchange(server, client, 1<<16)
	})
}

// A header that cannot be one is refused before the body that it speaks of.
func TestABadHeaderBehindARecordIsRefusedAtOnce(t *testing.T) {
	server, client := ends(t, tls.VersionTLS13)
	exchange(server, client, 1<<16)
	client.tls.Write([]byte("well"))
	server.raw.Receive(append(client.raw.TakeWritten(), "\x17\x03\x03\xff\xff"...))
	if string(server.rec.Data()) != "well" || !server.tls.IsClosing() {
		t.Errorf("%q, %v", server.rec.Data(), server.tls)
	}
	for _, e := range []*end{server, client} {
		e.tls.Abort()
		e.turn()
	}
}
