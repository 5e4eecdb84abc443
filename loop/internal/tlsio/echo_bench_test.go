package tlsio_test

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/sluice-net/sluice/loop/internal/tlsio"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// stage is a connection below both sides: a pipe during the handshake, and then the
// peer's output is kept and ours is counted.
type stage struct {
	transport.Transport // only what is called is there
	net.Conn
	over bool
	kept []byte
	sent int
}

// Write is the output of the transport above.
func (s *stage) Write(p []byte) (int, error) {
	s.sent += len(p)
	if s.over {
		return len(p), nil
	}
	return s.Conn.Write(p)
}

func (*stage) IsClosing() bool                             { return false }
func (*stage) WritePaused() bool                           { return false }
func (*stage) WriteBufferSize() int                        { return 0 }
func (*stage) WriteBufferLimits() transport.Limits         { return transport.DefaultLimits }
func (*stage) SetWriteBufferLimits(transport.Limits) error { return nil }

// Close is of both embedded types.
func (*stage) Close() error { return nil }

// peer is the other side's connection.
type peer struct {
	net.Conn
	stage *stage
}

// Write is the peer's output.
func (p peer) Write(b []byte) (int, error) {
	if p.stage.over {
		p.stage.kept = append(p.stage.kept, b...)
		return len(b), nil
	}
	return p.Conn.Write(b)
}

type echo struct {
	protocol.Base
	transport transport.Transport
}

func (e *echo) ConnectionMade(t transport.Transport) { e.transport = t }
func (e *echo) DataReceived(data []byte)             { e.transport.Write(data) }

// poolHost keeps its buffers.
type poolHost struct {
	fakeHost
	free [][]byte
}

func (h *poolHost) Buffer(int) []byte {
	if n := len(h.free); n > 0 {
		b := h.free[n-1]
		h.free = h.free[:n-1]
		return b[:0]
	}
	return make([]byte, 0, 4<<10)
}

func (h *poolHost) Free(b []byte) { h.free = append(h.free, b) }

// handshaken makes an echo server's lower half, and a client that has shaken hands.
func handshaken(b *testing.B) (*stage, protocol.Protocol, *tls.Conn) {
	serverConfig, clientConfig := configs(tls.VersionTLS13)
	near, far := net.Pipe()
	s := &stage{Conn: near}
	server := tlsio.New(&poolHost{}, &tlsio.Config{TLS: serverConfig,
		Server: true, Protocol: &echo{}})
	lower := server.Lower()
	lower.ConnectionMade(s)
	client := tls.Client(peer{far, s}, clientConfig)
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	buf := make([]byte, 64<<10)
	for !server.Established() {
		n, err := near.Read(buf)
		if err != nil {
			b.Fatal(err)
		}
		lower.DataReceived(buf[:n])
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	s.over, s.sent = true, 0
	return s, lower, client
}

// BenchmarkEcho is what a message of 1 KiB costs beside what moves it.
func BenchmarkEcho(b *testing.B) {
	const batch, size = 1000, 1 << 10
	s, lower, client := handshaken(b)
	b.ReportAllocs()
	b.SetBytes(size)
	record := 0
	for i := range b.N {
		if i%batch == 0 {
			b.StopTimer()
			s.kept = s.kept[:0]
			for range batch {
				client.Write(make([]byte, size))
			}
			record = len(s.kept) / batch
			b.StartTimer()
		}
		at := i % batch * record
		lower.DataReceived(s.kept[at : at+record])
	}
	if s.sent != b.N*record {
		b.Fatalf("%d bytes of %d", s.sent, b.N*record)
	}
}
