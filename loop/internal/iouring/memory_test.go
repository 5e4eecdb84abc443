package iouring

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/arena"
)

// Nothing but the address says that memory is registered: protocols return parts of it.
func TestS142_RegisteredMemoryIsRecognisedByItsAddress(t *testing.T) {
	m := memory{arena: arena.New(func(size int) ([]byte, error) { return make([]byte, size), nil })}
	first := m.arena.Alloc(16 << 10)
	if got := m.registeredIndex(first); got != -1 {
		t.Errorf("%d before it is registered", got)
	}
	m.registered = m.arena.Count()
	second := m.arena.Alloc(8 << 20) // in a chunk of its own, which is not registered yet
	foreign := make([]byte, 16<<10)
	for _, c := range []struct {
		what string
		b    []byte
		want int
	}{
		{"the whole", first, 0},
		{"the beginning", first[:1], 0},
		{"a part", first[1000:5000:5000], 0},
		{"the last byte", first[len(first)-1:], 0},
		{"what is not registered yet", second, -1},
		{"any other memory", foreign, -1},
		{"a part of any other", foreign[1000:5000], -1},
	} {
		if got := m.registeredIndex(c.b); got != c.want {
			t.Errorf("%s has the index %d, want %d", c.what, got, c.want)
		}
	}
	m.registered = m.arena.Count()
	if got := m.registeredIndex(second[5:10]); got != 1 {
		t.Errorf("a part of the second has the index %d", got)
	}
}
