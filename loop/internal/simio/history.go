package simio

import (
	"hash/crc32"
	"strconv"
	"time"
)

// castagnoli is the polynomial that processors have an instruction for.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// entry is one line of the history.
type entry struct {
	at   time.Duration
	verb string
	fd   int
	res  int64
	sum  uint32 // of the data, 0 where there is none
}

// append writes the entry as a line.
func (e entry) append(b []byte) []byte {
	b = strconv.AppendInt(b, int64(e.at), 10)
	b = append(b, ' ')
	b = append(b, e.verb...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(e.fd), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, e.res, 10)
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(e.sum), 16)
	return append(b, '\n')
}

// history is the log of all that happened, and its hash: FNV-1a, over a CRC of
// each line and not over each byte, which is slow under the race detector.
type history struct {
	text  []byte
	limit int
	hash  uint64
}

func (h *history) add(e entry) {
	before := len(h.text)
	h.text = e.append(h.text)
	if h.hash == 0 {
		h.hash = 14695981039346656037
	}
	line := crc32.Checksum(h.text[before:], castagnoli)
	h.hash = (h.hash ^ uint64(line)) * 1099511628211
	if len(h.text) > h.limit {
		h.text = append([]byte(nil), h.text[len(h.text)-h.limit/2:]...)
	}
}

// History returns what happened, a line for each event: the virtual time in
// nanoseconds, what, the descriptor (-1: a scripted peer's), the result, a
// checksum of the data. Only the end of it where it is very long.
func (w *World) History() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.history.text)
}

// HistoryHash returns a hash over the whole history. Two runs from one seed
// that do the same have the same.
func (w *World) HistoryHash() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.history.hash
}

// record notes an event, also in the file's own trail.
func (f *file) record(verb string, res int64, data ...[]byte) {
	e := entry{at: f.w.now, verb: verb, fd: f.fd, res: res, sum: checksum(data)}
	f.w.history.add(e)
	f.trail[f.trailCount%len(f.trail)] = e
	f.trailCount++
}

// checksum is for telling data apart, in the history and before and after.
func checksum(data [][]byte) uint32 {
	var sum uint32
	for _, b := range data {
		sum = crc32.Update(sum, crc32.IEEETable, b)
	}
	return sum
}
