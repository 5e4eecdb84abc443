package load_test

import (
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/bench/internal/netserver"
)

// A fault spoils a piece of a stream at index i. Others bytes follow there.
type fault struct {
	name  string
	spoil func(piece []byte, i int) []byte
}

var faults = []fault{
	{"a byte is changed", func(p []byte, i int) []byte { p[i] ^= 1; return p }},
	{"a byte is lost", func(p []byte, i int) []byte { return slices.Delete(p, i, i+1) }},
	{"a byte comes twice", func(p []byte, i int) []byte { return slices.Insert(p, i, p[i]) }},
	{"two bytes change places", func(p []byte, i int) []byte {
		for i+1 < len(p)-1 && p[i] == p[i+1] {
			i++
		}
		p[i], p[i+1] = p[i+1], p[i]
		return p
	}},
	{"bytes of another connection", func(p []byte, i int) []byte {
		copy(p[i:min(i+20, len(p))], contest.Pattern(77_777, 20))
		return p
	}},
}

// A spoiler is what its clients connect to instead of a server. It passes all on,
// but for one fault in the stream of one connection.
type spoiler struct {
	server   string
	conn     int   // of which connection, the first being 0
	at       int64 // where in its stream
	toServer bool  // in the stream to the server, not in that from it
	tls      *tls.Config
	fault    fault

	all   sync.WaitGroup
	mu    sync.Mutex
	conns []net.Conn
}

// start has it accept connections until the test's end.
func (s *spoiler) start(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.all.Go(func() { s.accept(l) })
	t.Cleanup(func() {
		l.Close()
		s.mu.Lock()
		for _, c := range s.conns {
			c.Close()
		}
		s.conns, s.server = nil, ""
		s.mu.Unlock()
		s.all.Wait()
	})
	return l.Addr().String()
}

func (s *spoiler) accept(l net.Listener) {
	for n := 0; ; n++ {
		client, err := l.Accept()
		if err != nil {
			return
		}
		if s.tls != nil {
			client = tls.Server(client, s.tls)
		}
		server, err := net.Dial("tcp4", s.server)
		if err != nil {
			client.Close()
			return
		}
		s.mu.Lock()
		s.conns = append(s.conns, client, server)
		s.mu.Unlock()
		s.all.Go(func() { s.pass(server, client, n == s.conn && s.toServer) })
		s.all.Go(func() { s.pass(client, server, n == s.conn && !s.toServer) })
	}
}

// pass copies, with the fault if spoils is set.
func (s *spoiler) pass(to, from net.Conn, spoils bool) {
	defer to.Close()
	buf := make([]byte, 256<<10)
	for pos := int64(0); ; {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		piece := buf[:n]
		// The fault may come somewhat later, for bytes to follow in the same piece.
		if i := max(s.at-pos, 0); spoils && i+30 < int64(n) {
			piece, spoils = s.fault.spoil(slices.Clone(piece), int(i)), false
		}
		pos += int64(n)
		if _, err := to.Write(piece); err != nil {
			return
		}
	}
}

// spoilDatagrams echoes datagrams until the test's end, with a fault in the n-th.
func spoilDatagrams(t *testing.T, n int, f fault) (addr string) {
	t.Helper()
	c, err := netserver.ListenDatagrams()
	if err != nil {
		t.Fatal(err)
	}
	var server sync.WaitGroup
	t.Cleanup(func() { c.Close(); server.Wait() })
	server.Go(func() {
		buf := make([]byte, contest.BlockSize)
		for i := 0; ; i++ {
			size, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			answer := buf[:size]
			if i == n {
				answer = f.spoil(slices.Clone(answer), 7)
			}
			c.WriteToUDPAddrPort(answer, from)
		}
	})
	return c.LocalAddr().String()
}
