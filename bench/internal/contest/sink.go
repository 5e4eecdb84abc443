package contest

import (
	"bytes"
	"net"
)

// A Sink takes what a connection receives in a receive mode. It is for one
// connection and one goroutine.
//
// It compares all of it while Page.Verify is set. Else it compares a window of what
// each Take brings, which is too little to be seen in the server's CPU time: as the
// pattern is of one piece, that finds what is missing, repeated or out of order for
// certain, and a byte that was changed where it falls into the window.
type Sink struct {
	page *Page
	port uint16
	pos  int64
	turn int
}

// windowSize is how many bytes of what comes at once are compared in any case, and
// windowStep how much further on they lie each time: somewhat less, for windows to
// overlap.
const (
	windowSize = 2 << 10
	windowStep = windowSize - 129
)

// NewSink returns a sink that counts into page.
func NewSink(page *Page) *Sink { return &Sink{page: page} }

// From tells whose bytes they are, for Page.Mismatch.
func (s *Sink) From(client net.Addr) {
	if a, ok := client.(*net.TCPAddr); ok {
		s.port = uint16(a.Port)
	}
}

// Take counts data, which comes next, and compares all or a window of it.
func (s *Sink) Take(data []byte) {
	if s.page.Verify.Load() {
		s.compareAll(data)
	} else {
		s.compareWindow(data)
	}
	s.pos += int64(len(data))
	s.page.Received.Add(int64(len(data)))
}

func (s *Sink) compareAll(data []byte) {
	pos := s.pos
	for len(data) > 0 {
		n := min(len(data), ChunkMax)
		s.compare(data[:n], pos)
		data, pos = data[n:], pos+int64(n)
	}
}

func (s *Sink) compareWindow(data []byte) {
	if len(data) <= windowSize {
		s.compare(data, s.pos)
		return
	}
	// A window may hang over an end: so all bytes have their turn equally often.
	s.turn %= len(data) + windowSize - 1
	end := s.turn + 1
	at := max(end-windowSize, 0)
	s.turn += windowStep
	s.compare(data[at:min(end, len(data))], s.pos+int64(at))
}

// compare notes it if data is not what comes at pos.
func (s *Sink) compare(data []byte, pos int64) {
	due := Pattern(pos, len(data))
	if bytes.Equal(data, due) {
		return
	}
	at := 0
	for data[at] == due[at] {
		at++
	}
	s.page.differs(s.port, pos+int64(at))
}
