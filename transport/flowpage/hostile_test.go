package flowpage

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memfd creates a file as a hostile process might.
func memfd(t *testing.T, size int64, seals int) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if seals != 0 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// goodHeader returns a header that is accepted.
func goodHeader() header {
	return header{magic: magic, version: version, headerSize: headerSize, slotSize: slotSize,
		slotCount: 3, engine: engineEpoll, ringFD: -1}
}

func bytesOf(h *header) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(h)), headerBytes) }

func slots(t *testing.T, r *Reader) []Transport {
	t.Helper()
	var out []Transport
	for s := range r.Slots() {
		out = append(out, s)
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAReaderRefusesWhatIsNotAPage(t *testing.T) {
	plain, err := os.Create(t.TempDir() + "/plain")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*os.File{
		"not sealed": memfd(t, 1<<16, 0),
		"too short":  memfd(t, 100, unix.F_SEAL_SHRINK),
		"zeroes":     memfd(t, 1<<16, unix.F_SEAL_SHRINK),
		"a file":     plain,
	}
	for name, f := range files {
		if _, err := NewReader(f); !errors.Is(err, ErrNoPage) {
			t.Errorf("%s: %v", name, err)
		}
		if err := f.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: the reader left its file open (%v)", name, err)
		}
	}
}

func TestAHeaderIsChecked(t *testing.T) {
	cases := map[string]struct {
		change func(h *header)
		want   error
	}{
		"good":          {func(*header) {}, nil},
		"engine":        {func(h *header) { h.engine = 1 << 31 }, nil},
		"newer":         {func(h *header) { h.version++ }, ErrVersion},
		"header size":   {func(h *header) { h.headerSize = 1 << 31 }, ErrNoPage},
		"slot size":     {func(h *header) { h.slotSize = 0 }, ErrNoPage},
		"slot count":    {func(h *header) { h.slotCount = slotsMax + 1 }, ErrNoPage},
		"foreign magic": {func(h *header) { h.magic++ }, ErrNoPage},
	}
	for name, c := range cases {
		h := goodHeader()
		c.change(&h)
		if _, err := decodeHeader(bytesOf(&h), 0); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// A page that claims more slots than its file holds is read as far as the file
// goes, and one that is cut off while it is read is an error: a reader that
// somebody tricked into mapping it does not crash.
func TestAPageThatIsShorterThanItSays(t *testing.T) {
	f := memfd(t, headerSize+10*slotSize, unix.F_SEAL_SHRINK)
	h := goodHeader()
	h.slotCount = 100000
	if _, err := f.WriteAt(bytesOf(&h), 0); err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	slots(t, r)
	if err := r.Close(); err != nil {
		t.Error(err)
	}

	cut := memfd(t, 1<<20, 0)
	if _, err := cut.WriteAt(bytesOf(&h), 0); err != nil {
		t.Fatal(err)
	}
	r = &Reader{file: cut}
	if err := r.remap(); err != nil {
		t.Fatal(err)
	}
	if err := cut.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Header(); err == nil {
		t.Error("a page that is not there any more was read")
	}
	for range r.Slots() {
		t.Error("a slot that is not there any more was read")
	}
	if r.Err() == nil {
		t.Error("Slots did not say that it could not read")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestFindSaysWhyThereIsNothing(t *testing.T) {
	if _, err := Find(os.Getpid()); !errors.Is(err, ErrNoPage) {
		t.Errorf("a process without a page: %v", err)
	}
	if _, err := Find(1 << 30); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such process: %v", err)
	}
}

// FuzzDecode feeds the decoder arbitrary bytes: it must not panic, and what it
// returns must be within its bounds.
func FuzzDecode(f *testing.F) {
	h := goodHeader()
	seed := append(append([]byte(nil), bytesOf(&h)...), make([]byte, slotSize)...)
	f.Add(seed, int64(0))
	s := slot{seq: 2, kind: KindTCP, state: StateOpen, sending: 1 - 2*55, created: 5, high: 9}
	copy(seed[headerBytes:], unsafe.Slice((*byte)(unsafe.Pointer(&s)), slotSize))
	f.Add(seed, int64(time.Hour))
	f.Fuzz(func(t *testing.T, raw []byte, now int64) {
		h, err := decodeHeader(raw, now)
		if err != nil {
			return
		}
		if h.SlotCount < 0 || h.SlotCount > slotsMax || h.Used < 0 || h.Used > h.SlotCount ||
			h.TurnAge < 0 {
			t.Errorf("header %+v", h)
		}
		checkSpans(t, h.Busy, h.Waiting)
		var w words
		for i, rest := 0, raw[headerBytes:]; len(rest) >= 8 && i < slotWords; i++ {
			w[i] = binary.NativeEndian.Uint64(rest)
			rest = rest[8:]
		}
		slot, ok := decodeSlot(&w, 3, h)
		if !ok {
			return
		}
		if slot.Kind == 0 || slot.Kind >= kindEnd || slot.State == StateFree ||
			slot.State >= stateEnd || slot.Buffered < 0 || slot.High < 0 || slot.Low < 0 ||
			slot.InFlight < 0 || slot.HeldBytes < 0 || slot.Held < 0 || slot.Held > 255 {
			t.Errorf("slot %+v", slot)
		}
		checkSpans(t, slot.Sending, slot.WritePaused, slot.ReadPaused, slot.Starved)
		_ = slot.Kind.String() + slot.State.String() + h.Engine
	})
}

func checkSpans(t *testing.T, spans ...Span) {
	t.Helper()
	for _, s := range spans {
		if s.Total < 0 || s.For < 0 || s.For > s.Total || s.For > 0 && !s.Running {
			t.Errorf("span %+v", s)
		}
	}
}
