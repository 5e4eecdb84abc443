package tlsio_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// bufferedServer connects a client to a server whose protocol has a buffer of size
// bytes.
func bufferedServer(t *testing.T, size int) (server, client *end) {
	s, c := configs(tls.VersionTLS13)
	server = newEndOf(t, true, s, func(e *end) protocol.Protocol { return e.rec.Buffered(size) })
	client = newEnd(t, false, c)
	exchange(server, client, 1<<16)
	return server, client
}

// abort ends both ends.
func abort(ends ...*end) {
	for _, e := range ends {
		e.tls.Abort()
		e.turn()
	}
}

// bytesOf are how many bytes each of the events with a name had.
func bytesOf(r *transporttest.Recorder, name string) (sizes []int) {
	for _, e := range r.Events() {
		if e.Name == name {
			sizes = append(sizes, e.N)
		}
	}
	return sizes
}

func TestS198_PauseReadingHoldsBackWhatWasReceivedAlready(t *testing.T) {
	server, client := bufferedServer(t, 10)
	server.rec.On.Updated = func(int) { server.tls.PauseReading() }
	for range 3 {
		client.tls.Write([]byte("twenty-five bytes of text"))
	}
	carry(client, server, 1<<16)
	for want := 10; ; want = min(want+10, 75) {
		server.turn()
		if n := server.rec.Received(); n != want {
			t.Fatalf("%d bytes are passed on, want %d", n, want)
		}
		if want == 75 {
			break
		}
		server.tls.ResumeReading()
	}
	abort(server, client)
}

func TestS199_ResumeReadingDeliversInTheNextRound(t *testing.T) {
	server, client := ends(t, tls.VersionTLS13)
	exchange(server, client, 1<<16)
	server.tls.PauseReading()
	client.tls.Write([]byte("held"))
	client.tls.Close()
	carry(client, server, 1<<16)
	server.tls.ResumeReading()
	if n := server.rec.Received(); n != 0 {
		t.Errorf("%d bytes are delivered inside ResumeReading", n)
	}
	server.turn()
	if string(server.rec.Data()) != "held" || !server.rec.GotEOF() {
		t.Errorf("after a round: %s", server.rec.Trace())
	}
	abort(server, client)
}

func TestS206_ThePlaintextAtHandIsJoined(t *testing.T) {
	server, client := ends(t, tls.VersionTLS13)
	exchange(server, client, 1<<16)
	for range 3 {
		client.tls.Write([]byte("a record"))
	}
	carry(client, server, 1<<16)
	if sizes := bytesOf(server.rec, "data"); len(sizes) != 1 || sizes[0] != 24 {
		t.Errorf("three records at once were passed on as %d bytes", sizes)
	}
	client.tls.Write(make([]byte, 150<<10))
	carry(client, server, 1<<20)
	sizes := bytesOf(server.rec, "data")
	if len(sizes) != 4 || sizes[1] != 64<<10 || sizes[2] != 64<<10 || sizes[3] != 22<<10 {
		t.Errorf("150 KiB at once were passed on as %d bytes", sizes[1:])
	}
	abort(server, client)
}

func TestS207_ABufferIsFilledAsFarAsThereIsPlaintext(t *testing.T) {
	server, client := bufferedServer(t, 10_000)
	if n := server.rec.Count("get"); n != 0 {
		t.Errorf("%d buffers were asked for without plaintext", n)
	}
	for range 3 {
		client.tls.Write(make([]byte, 5000))
	}
	carry(client, server, 1<<16)
	sizes := bytesOf(server.rec, "updated")
	if len(sizes) != 2 || sizes[0] != 10_000 || sizes[1] != 5000 {
		t.Errorf("three records of 5000 bytes at once filled %d", sizes)
	}
	if n := server.rec.Count("get"); n != 2 {
		t.Errorf("%d buffers were asked for", n)
	}
	abort(server, client)
}

func TestS187_DataBeforeThePeersEndIsDeliveredWhileOutputWaits(t *testing.T) {
	server, client := slowly(t)
	server.tls.Write(make([]byte, 200<<10))
	waiting := 0
	server.rec.On.Data = func([]byte) { waiting = server.tls.WriteBufferSize() }
	client.tls.Write([]byte("the last word"))
	client.tls.Close()
	carry(client, server, 1<<16)
	if got := server.rec.Trace(); !strings.HasSuffix(got, "data 13, eof") {
		t.Errorf("trace %s", got)
	}
	if waiting < 200<<10 {
		t.Errorf("%d bytes waited to be sent when the data came", waiting)
	}
	for range 10 {
		server.raw.Drain(-1)
		exchange(server, client, 1<<16)
	}
	for _, e := range []*end{server, client} {
		if is, err := e.rec.Lost(); !is || err != nil {
			t.Errorf("lost %v, %v", is, err)
		}
	}
}

func TestS190_ThePeersAnswerToCloseIsNotPassedOn(t *testing.T) {
	server, client := ends(t, tls.VersionTLS13)
	exchange(server, client, 1<<16)
	client.tls.Close()
	carry(client, server, 1<<16)
	if !server.rec.GotEOF() {
		t.Error("the server got no EOF")
	}
	answer := server.raw.TakeWritten()
	client.raw.Receive(answer)
	client.turn()
	if is, err := client.rec.Lost(); !is || err != nil || len(answer) == 0 {
		t.Errorf("after an answer of %d bytes: lost %v, %v", len(answer), is, err)
	}
	if got := client.rec.Trace(); got != "made, lost <nil>" {
		t.Errorf("trace %s", got)
	}
	server.turn()
}

func TestS189_WhatEOFReceivedReturnsHasNoEffect(t *testing.T) {
	for _, keepOpen := range []bool{false, true} {
		server, client := ends(t, tls.VersionTLS13)
		server.host.debug.Store(true)
		exchange(server, client, 1<<16)
		server.rec.On.EOF = func() bool { return keepOpen }
		client.tls.Close()
		exchange(server, client, 1<<16)
		if is, err := server.rec.Lost(); !is || err != nil || server.rec.Count("eof") != 1 {
			t.Errorf("keepOpen %v: %s", keepOpen, server.rec.Trace())
		}
		noted := strings.Contains(strings.Join(server.host.notes, "\n"), "has no effect with TLS")
		if noted != keepOpen {
			t.Errorf("keepOpen %v: logged %q", keepOpen, server.host.notes)
		}
	}
}

func TestS202_NothingIsReadAfterClose(t *testing.T) {
	server, client := ends(t, tls.VersionTLS13)
	exchange(server, client, 1<<16)
	if !client.tls.IsReading() {
		t.Error("not reading at first")
	}
	for range 2 {
		client.tls.Close()
		if client.tls.IsReading() {
			t.Error("reading after Close")
		}
	}
	exchange(server, client, 1<<16)
	if client.tls.IsReading() {
		t.Error("reading after ConnectionLost")
	}
}

func TestS214_SSLObjectIsTheStateOfTheConnection(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		server, client := ends(t, version)
		for _, e := range []*end{server, client} {
			if got := e.tls.ExtraInfo("ssl_object"); got != nil {
				t.Errorf("before the handshake: %v", got)
			}
		}
		exchange(server, client, 1<<16)
		for _, e := range []*end{server, client} {
			look := func(when string) {
				state, ok := e.tls.ExtraInfo("ssl_object").(tls.ConnectionState)
				if !ok || !state.HandshakeComplete || state.Version != version {
					t.Errorf("%s: %T, version %x", when, e.tls.ExtraInfo("ssl_object"),
						state.Version)
				}
				if got := e.tls.ExtraInfo("compression"); got != nil {
					t.Errorf("compression %v", got)
				}
			}
			look("after the handshake")
			e.rec.On.Lost = func(error) { look("in ConnectionLost") }
		}
		if _, ok := transport.TLSState(client.tls); !ok {
			t.Error("TLSState does not find it")
		}
		abort(client, server)
		if got := client.tls.ExtraInfo("ssl_object"); got != nil {
			t.Errorf("after ConnectionLost: %v", got)
		}
	})
}
