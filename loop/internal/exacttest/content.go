// Package exacttest tells whether bytes are exactly those that were written. A
// stream's content is computed from a key and an offset, so that both ends know it
// and nobody stores it; and Litter fills whatever memory is let go of with a marker,
// so that bytes taken from there are recognised at a peer.
package exacttest

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Marker is what Litter fills memory with. It is no part of any content but by a
// chance of 2^-64 for each word.
const Marker = "GARBAGE!"

// word is the content of a stream at the offsets 8*i to 8*i+7: the finalizer of
// SplitMix64 over a counter that begins somewhere else for each key.
func word(key, i uint64) uint64 {
	x := key*0xd1342543de82ef95 + i*0x9e3779b97f4a7c15
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// Fill fills p with the content of the stream called key from offset off on.
func Fill(p []byte, key, off uint64) {
	var w [8]byte
	if skip := off % 8; skip > 0 {
		binary.LittleEndian.PutUint64(w[:], word(key, off/8))
		n := copy(p, w[skip:])
		p, off = p[n:], off+uint64(n)
	}
	i := off / 8
	for ; len(p) >= 8; p, i = p[8:], i+1 {
		binary.LittleEndian.PutUint64(p, word(key, i))
	}
	if len(p) > 0 {
		binary.LittleEndian.PutUint64(w[:], word(key, i))
		copy(p, w[:])
	}
}

// Bytes returns n bytes of the stream called key from offset off on.
func Bytes(n int, key, off uint64) []byte {
	p := make([]byte, n)
	Fill(p, key, off)
	return p
}

// Check compares p with the content of the stream called key from offset off on.
// Its error says where the first difference is, what is there, and whether that is
// Litter's.
func Check(p []byte, key, off uint64) error {
	var page [512]byte
	for at := 0; at < len(p); {
		want := page[:min(len(page), len(p)-at)]
		Fill(want, key, off+uint64(at))
		if got := p[at : at+len(want)]; !bytes.Equal(got, want) {
			return difference(p, at, want, off)
		}
		at += len(want)
	}
	return nil
}

// difference describes the first one in the page that begins at p[at].
func difference(p []byte, at int, want []byte, off uint64) error {
	i := 0
	for p[at+i] == want[i] {
		i++
	}
	got := p[at+i : min(at+i+24, len(p))]
	whose := ""
	// Three letters of it: it may begin in the middle of the marker.
	if bytes.Contains([]byte(Marker+Marker), got[:min(3, len(got))]) {
		whose = ", which is memory that was let go of"
	}
	return fmt.Errorf("byte %d of the stream begins %q, want %q%s",
		off+uint64(at+i), got, want[i:min(i+24, len(want))], whose)
}
