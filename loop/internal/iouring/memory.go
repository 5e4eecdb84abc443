package iouring

import (
	"github.com/sluice-net/sluice/loop/internal/arena"
)

// tableMax is the maximum number of chunks of memory that can be registered.
const tableMax = 64

// memory is what Alloc hands out: chunks that the loop's thread registers with the
// ring one by one as they appear. If they cannot be registered, they are received
// into like any other memory.
//
//	unregistered --registerChunks--> registered
//	             --ENOMEM, EPERM …--> refused, and so are all later ones
type memory struct {
	arena      *arena.Arena
	registered int // chunks
	refused    bool
	table      bool
}

// Alloc implements proactor.Memory.
func (e *engine) Alloc(n int) []byte { return e.arena.Alloc(n) }

// Free implements proactor.Memory.
func (e *engine) Free(b []byte) { e.arena.Free(b) }

// registeredIndex returns the number under which the memory of b is registered,
// or -1.
func (m *memory) registeredIndex(b []byte) int {
	if m.registered == 0 {
		return -1
	}
	index := m.arena.Index(b)
	if index >= m.registered {
		return -1
	}
	return index
}

// registerChunks registers the new chunks.
func (e *engine) registerChunks() {
	m := &e.memory
	if m.refused || m.arena.Count() == m.registered {
		return
	}
	err := e.registerNew()
	if err == nil {
		return
	}
	m.refused = true
	if e.cfg.Fallback != nil {
		e.cfg.Fallback("registered buffers", err)
	}
}

func (e *engine) registerNew() error {
	m := &e.memory
	if !m.table {
		if err := e.ring.RegisterBuffersSparse(tableMax); err != nil {
			return err
		}
		m.table = true
	}
	for _, chunk := range m.arena.Chunks()[m.registered:] {
		if m.registered == tableMax {
			return errTableFull
		}
		if err := e.ring.UpdateBuffers(uint32(m.registered), [][]byte{chunk}); err != nil {
			return err
		}
		m.registered++
	}
	return nil
}

// unmap frees the chunks. The ring is closed by then.
func (m *memory) unmap(munmap func([]byte) error) {
	for _, chunk := range m.arena.Chunks() {
		_ = munmap(chunk) // we mapped it, so this cannot fail
	}
}
