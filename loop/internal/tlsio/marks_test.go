package tlsio_test

import (
	"crypto/tls"
	"testing"

	"github.com/sluice-net/sluice/loop/internal/tlsio"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// slowly makes ends of which the server's kernel takes nothing by itself.
func slowly(t *testing.T) (server, client *end) {
	return slowlyWith(t, func(*tls.Config) {})
}

// slowlyWith is slowly with a change of the server's Config.
func slowlyWith(t *testing.T, change func(*tls.Config)) (server, client *end) {
	s, c := configs(tls.VersionTLS13)
	change(s)
	client = newEnd(t, false, c)
	server = &end{rec: transporttest.NewRecorder(t)}
	server.tls = tlsio.New(&server.host, &tlsio.Config{TLS: s, Server: true,
		Protocol: server.rec, Done: func(_ *tlsio.Transport, err error) {
			server.done = append(server.done, err)
		}})
	server.raw = transporttest.NewTransport(server.tls.Lower(),
		&transporttest.Options{Full: true})
	for range 4 {
		server.raw.Drain(-1)
		exchange(server, client, 1<<16)
	}
	if len(server.done) != 1 || server.done[0] != nil {
		t.Fatal("handshake:", server.done)
	}
	return server, client
}

// What the transport below has sent since the last count is not compared with new
// marks: the protocol would be paused without PauseWriting, and be resumed later.
func TestNewMarksAreComparedWithWhatIsLeft(t *testing.T) {
	server, client := slowly(t)
	server.tls.Write(make([]byte, 50<<10))
	server.raw.Drain(30 << 10)
	if err := server.tls.SetWriteBufferLimits(transport.Limits{High: 40 << 10,
		Low: 1 << 10}); err != nil {
		t.Fatal(err)
	}
	if server.tls.WritePaused() || server.rec.Count("pause") != 0 {
		t.Errorf("paused with %d bytes", server.tls.WriteBufferSize())
	}
	for range 3 {
		server.raw.Drain(-1)
		server.turn()
	}
	if server.rec.Count("resume") != 0 {
		t.Error("resumed, though not paused")
	}
	server.tls.Abort()
	client.tls.Abort()
	server.turn()
	client.turn()
}

// Our own marks may pause a transport whose protocol was not: it is none the wiser.
func TestUpgradeOfATransportWithHighMarks(t *testing.T) {
	s, _ := configs(tls.VersionTLS13)
	rec := transporttest.NewRecorder(t)
	raw := transporttest.NewTransport(rec, &transporttest.Options{Full: true})
	if err := raw.SetWriteBufferLimits(transport.Limits{High: 1 << 20, Low: 1}); err != nil {
		t.Fatal(err)
	}
	raw.Write(make([]byte, 200<<10))
	e := &end{rec: rec, raw: raw}
	e.tls = tlsio.New(&e.host, &tlsio.Config{TLS: s, Server: true,
		Protocol: rec, Upgrade: true})
	if err := raw.SetProtocol(e.tls.Lower()); err != nil {
		t.Fatal(err)
	}
	rec.SetTransport(e.tls)
	e.tls.Attach(raw)
	if e.tls.WritePaused() {
		t.Error("paused by marks that are not the protocol's")
	}
	raw.Drain(-1)
	e.turn()
	if n := rec.Count("resume"); n != 0 {
		t.Errorf("resumed %d times", n)
	}
	e.tls.Abort()
	e.turn()
}

// An alert that the peer does not read does not hold Abort up.
func TestAbortGivesUpAnAlertOnItsWay(t *testing.T) {
	server, client := slowly(t)
	server.raw.Receive([]byte("\x17\x03\x03\x00\x11 is no record..."))
	server.raw.Receive([]byte("....."))
	server.turn()
	if is, _ := server.rec.Lost(); is || !server.tls.IsClosing() {
		t.Fatalf("lost %v: %v", is, server.tls)
	}
	server.tls.Abort()
	server.turn()
	if is, err := server.rec.Lost(); !is || err == nil {
		t.Errorf("lost %v, %v", is, err)
	}
	client.tls.Abort()
	client.turn()
}
