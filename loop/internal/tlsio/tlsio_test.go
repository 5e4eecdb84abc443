package tlsio_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"testing"

	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/loop/internal/tlsio"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// TestEveryByteBoundary relies on what crypto/tls does with a temporary error: it
// must pass it on and go on later, wherever the bytes end.
func TestEveryByteBoundary(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		server, client := ends(t, version)
		exchange(server, client, 1) // the handshake too
		if len(server.done) != 1 || len(client.done) != 1 || server.done[0] != nil ||
			client.done[0] != nil {
			t.Fatal("handshakes:", server.done, client.done)
		}
		client.tls.Write([]byte("one byte at a time"))
		server.tls.Write([]byte("in both directions"))
		exchange(server, client, 1)
		if string(server.rec.Data()) != "one byte at a time" ||
			string(client.rec.Data()) != "in both directions" {
			t.Errorf("%q, %q", server.rec.Data(), client.rec.Data())
		}
		want := server.rec.Received()
		for at := 0; ; at++ { // two records, cut in two
			client.tls.Write([]byte("first record"))
			client.tls.Write([]byte("second"))
			data := client.raw.TakeWritten()
			if at > len(data) {
				break
			}
			want += 18
			server.raw.Receive(data[:at])
			server.raw.Receive(data[at:])
			if server.rec.Received() != want {
				t.Fatalf("cut at %d: %d of %d bytes", at, server.rec.Received(), want)
			}
		}
		client.tls.Abort()
		server.tls.Abort()
		server.turn()
		client.turn()
	})
}

func TestS212_AnIdleConnectionHoldsNoBuffer(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		server, client := ends(t, version)
		exchange(server, client, 1<<16)
		client.tls.Write(make([]byte, 100<<10))
		exchange(server, client, 7000)
		if server.rec.Received() != 100<<10 {
			t.Fatalf("received %d", server.rec.Received())
		}
		for _, e := range []*end{server, client} {
			if e.host.lent != 0 || e.tls.ReadBufferSize() != 0 || e.tls.WriteBufferSize() != 0 {
				t.Errorf("%d buffers lent, %d bytes held, %d to write", e.host.lent,
					e.tls.ReadBufferSize(), e.tls.WriteBufferSize())
			}
			for _, timer := range e.host.timers {
				if !timer.stopped {
					t.Error("a timer of the handshake is left")
				}
			}
		}
		client.tls.Close()
		exchange(server, client, 1<<16)
		for _, e := range []*end{server, client} {
			if is, err := e.rec.Lost(); !is || err != nil || e.tls.Protocol() != nil {
				t.Errorf("lost %v, %v", is, err)
			}
		}
	})
}

func TestRecordsThatDoNotDecryptEndTheConnection(t *testing.T) {
	server, client := ends(t, tls.VersionTLS13)
	exchange(server, client, 1<<16)
	server.raw.Receive(bytes.Repeat([]byte{23, 3, 3, 0, 17}, 1000))
	for range 5 {
		server.turn()
	}
	if is, err := server.rec.Lost(); !is || err == nil {
		t.Errorf("lost %v, %v", is, err)
	}
	client.tls.Abort()
	client.turn()
}

func TestTimersEndWhatDoesNotEnd(t *testing.T) {
	server, client := ends(t, tls.VersionTLS13)
	server.host.expire()
	server.turn()
	if len(server.done) != 1 || !errors.Is(server.done[0], transport.ErrHandshakeTimeout) {
		t.Errorf("handshake: %v", server.done)
	}
	client.tls.Cancel(errors.New("enough"))
	client.turn()
	if len(client.done) != 1 || client.done[0].Error() != "enough" {
		t.Errorf("handshake: %v", client.done)
	}
	server, client = ends(t, tls.VersionTLS13)
	exchange(server, client, 1<<16)
	client.tls.Close()
	client.turn()
	client.turn()
	client.host.expire() // the answer does not come
	client.turn()
	if is, err := client.rec.Lost(); !is || err != nil {
		t.Errorf("after the shutdown's time: lost %v, %v", is, err)
	}
	server.tls.Abort()
	server.turn()
}

func TestConfigsAreChecked(t *testing.T) {
	server, client := configs(0)
	for _, c := range []struct {
		config tlsio.Config
		want   error
	}{
		{tlsio.Config{}, tlsio.ErrNoConfig},
		{tlsio.Config{TLS: client, Server: true}, tlsio.ErrNoCertificate},
		{tlsio.Config{TLS: &tls.Config{}}, tlsio.ErrNoServerName},
		{tlsio.Config{TLS: server, Server: true, CloseTimeout: -1}, tlsio.ErrTimeout},
		{tlsio.Config{TLS: server, Server: true}, nil},
		{tlsio.Config{TLS: client}, nil},
	} {
		if err := c.config.Check(); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.config, err, c.want)
		}
	}
	if err := guard.CheckProtocol(nil); !errors.Is(err, transport.ErrNilProtocol) {
		t.Error(err)
	}
	if _, ok := tlsio.Over(transporttest.NewRecorder(t)); ok {
		t.Error("a recorder is no lower half")
	}
}
