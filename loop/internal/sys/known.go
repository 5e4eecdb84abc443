package sys

import (
	"os"
	"unsafe"
	"weak"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// known remembers what fstat(2) said about open files. It does not keep the garbage
// collector from closing them. The zero value knows nothing.
type known struct {
	files map[uintptr]knownFile // by address, which may be another file's by now
}

// knownFile is an open file: its current size, and what does not change.
type knownFile struct {
	file    weak.Pointer[os.File]
	size    int64
	regular bool
	id      proactor.FileID
}

// knownMax is the most files that are remembered.
const knownMax = 1024

// of returns what is known of f.
func (k *known) of(f *os.File) (knownFile, bool) {
	old, ok := k.files[address(f)]
	return old, ok && old.file.Value() == f
}

// add remembers file of f.
func (k *known) add(f *os.File, file knownFile) {
	if k.files == nil {
		k.files = make(map[uintptr]knownFile)
	}
	if len(k.files) >= knownMax {
		clear(k.files)
	}
	file.file = weak.Make(f)
	k.files[address(f)] = file
}

func address(f *os.File) uintptr { return uintptr(unsafe.Pointer(f)) }
