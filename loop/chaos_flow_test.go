package loop

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
)

// chaosFlow is one direction of a connection. What it carries is known by
// position, so that a byte that is lost, doubled, misplaced or another
// connection's is found by whoever receives it.
type chaosFlow struct {
	key    uint64
	name   string
	sent   int  // accepted from the writer
	got    int  // received by the reader
	blind  bool // the writer is not known
	writer chaosParty
	reader chaosParty
}

// chaosParty is one end of a connection: a transport of the loop's or a peer.
type chaosParty interface {
	// complete reports whether everything that the party wrote must reach a
	// reader that sees the end of the stream.
	complete() bool
	// ended reports whether the party has ended its output.
	ended() bool
}

// flow returns the direction between two addresses; each end knows both.
func (c *chaos) flow(from, to string) *chaosFlow {
	name := from + ">" + to
	f := c.flows[name]
	if f == nil {
		h := fnv.New64a()
		h.Write([]byte(name))
		f = &chaosFlow{key: h.Sum64(), name: name}
		c.flows[name] = f
	}
	return f
}

// fill writes the flow's content from position pos on into b.
func (f *chaosFlow) fill(b []byte, pos int) {
	var word [8]byte
	for len(b) > 0 {
		binary.LittleEndian.PutUint64(word[:], chaosMix(f.key+uint64(pos/8)))
		n := copy(b, word[pos%8:])
		b, pos = b[n:], pos+n
	}
}

// next returns n bytes to write.
func (f *chaosFlow) next(n int) []byte {
	b := make([]byte, n)
	f.fill(b, f.sent)
	return b
}

// receive checks what arrived next. It returns false where it is not what was
// sent.
func (f *chaosFlow) receive(c *chaos, data []byte) bool {
	if f.blind {
		return true
	}
	if f.got+len(data) > f.sent {
		c.fail("%s: %d bytes received, %d sent", f.name, f.got+len(data), f.sent)
		return false
	}
	if cap(c.scratch) < len(data) {
		c.scratch = make([]byte, 2*len(data))
	}
	want := c.scratch[:len(data)]
	f.fill(want, f.got)
	if !bytes.Equal(want, data) {
		c.fail("%s: %d bytes at %d are not what was sent", f.name, len(data), f.got)
		return false
	}
	f.got += len(data)
	return true
}

// end checks that an orderly end of the stream comes after all of it.
func (f *chaosFlow) end(c *chaos) {
	if f.writer == nil {
		return // accepted by the kernel, and never by the loop
	}
	if !f.writer.ended() {
		c.fail("%s: EOF from a writer that has not ended its output", f.name)
	}
	if f.writer.complete() && f.got != f.sent {
		c.fail("%s: EOF after %d bytes of %d", f.name, f.got, f.sent)
	}
}

// chaosMix spreads the bits of x (the finaliser of splitmix64).
func chaosMix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
