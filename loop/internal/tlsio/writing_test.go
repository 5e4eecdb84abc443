package tlsio_test

import (
	"crypto/tls"
	"errors"
	"testing"

	"github.com/sluice-net/sluice/transport"
)

func TestS193_WhatIsWrittenBeforeTheHandshakeWaitsForItsEnd(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		server, client := ends(t, version)
		for _, e := range []*end{server, client} {
			if n, err := e.tls.Write([]byte("early")); n != 5 || err != nil {
				t.Errorf("Write: %d, %v", n, err)
			}
		}
		if n := client.tls.WriteBufferSize(); n < 5 {
			t.Errorf("%d bytes are buffered", n)
		}
		exchange(server, client, 1<<16)
		for _, e := range []*end{server, client} {
			if string(e.rec.Data()) != "early" {
				t.Errorf("received %q", e.rec.Data())
			}
		}
		abort(server, client)
	})
}

func TestS194_WriteAfterTheEndIsErrClosed(t *testing.T) {
	for name, finish := range map[string]func(e *end){
		"Close":    func(e *end) { e.tls.Close() },
		"Abort":    func(e *end) { e.tls.Abort() },
		"the loss": func(e *end) { e.raw.Lose(nil) },
	} {
		server, client := ends(t, tls.VersionTLS13)
		exchange(server, client, 1<<16)
		closed := func(when string) {
			n, err := client.tls.Write([]byte("x"))
			if n != 0 || !errors.Is(err, transport.ErrClosed) {
				t.Errorf("Write %s %s: %d, %v", when, name, n, err)
			}
			if err := client.tls.WriteLines([][]byte{{1}}); !errors.Is(err, transport.ErrClosed) {
				t.Errorf("WriteLines %s %s: %v", when, name, err)
			}
		}
		client.rec.On.Lost = func(error) { closed("in ConnectionLost after") }
		finish(client)
		closed("after")
		abort(server, client)
		closed("long after")
	}
}

func TestS195_TheMarksCountPlaintextAndCiphertext(t *testing.T) {
	server, client := slowly(t)
	if got := server.tls.WriteBufferLimits(); got.High != 512<<10 || got.Low != 128<<10 {
		t.Errorf("limits %+v", got)
	}
	written, record := 0, make([]byte, 16<<10)
	for written < 512<<10 {
		if server.tls.WritePaused() {
			t.Fatalf("paused with %d bytes written", written)
		}
		server.tls.Write(record)
		written += len(record)
		below := server.raw.WriteBufferSize()
		if n := server.tls.WriteBufferSize(); n < written || n > written+written/64 {
			t.Fatalf("%d bytes count as %d, of which %d are below", written, n, below)
		}
	}
	if below := server.raw.WriteBufferSize(); below == 0 || below > 128<<10 {
		t.Errorf("%d bytes are below", below)
	}
	if !server.tls.WritePaused() { // the overhead is what is more than 512 KiB
		t.Errorf("not paused by %d bytes", server.tls.WriteBufferSize())
	}
	resumedAt := -1
	server.rec.On.Resume = func() { resumedAt = server.tls.WriteBufferSize() }
	for server.tls.WriteBufferSize() > 0 {
		server.raw.Drain(1000)
		server.turn()
	}
	// What is below says when it has drained to its own low mark, 16 KiB.
	if resumedAt > 128<<10 || resumedAt < 64<<10 || server.rec.Count("resume") != 1 {
		t.Errorf("resumed %d times, at %d bytes", server.rec.Count("resume"), resumedAt)
	}
	abort(server, client)
}
