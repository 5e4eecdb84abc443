package tls_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

func TestS193_WriteInConnectionMadeIsSent(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := serveTLS(t, l, loop.ServerOptions{})
		client := transporttest.NewRecorder(t)
		client.On.Made = func(tr transport.Transport) { tr.Write([]byte("at once")) }
		_, err := l.CreateConnection(rig.WithTimeout(t), client, a.Addrs()[0].String(),
			&loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: rig.ClientTLS()}})
		if err != nil {
			t.Fatal(err)
		}
		rig.AbortAtEnd(t, l, client)
		looptest.WaitFor(t, l, "the data", func() bool {
			return len(a.Got) == 1 && string(a.Got[0].Data()) == "at once"
		})
	})
}

func TestS196_HighZeroPausesOnlyWhatIsLeftOver(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := serveTLS(t, l, loop.ServerOptions{})
		_, client := a.DialTLS(loop.ConnectionOptions{})
		looptest.Do(l, func() {
			tr := client.Transport()
			if got := tr.WriteBufferLimits(); got != (transport.Limits{High: 512 << 10,
				Low: 128 << 10}) {
				t.Errorf("limits %+v", got)
			}
			if err := tr.SetWriteBufferLimits(transport.Limits{}); err != nil {
				t.Error(err)
			}
			if tr.WritePaused() {
				t.Error("paused with an empty buffer")
			}
			tr.Write([]byte("a little"))
		})
		looptest.WaitFor(t, l, "the end of a pause", func() bool {
			return !client.Transport().WritePaused()
		})
	})
}

// readLimiter is what a TLS transport has besides.
type readLimiter interface {
	SetReadBufferLimits(transport.Limits) error
	ReadBufferLimits() transport.Limits
	ReadBufferSize() int
}

func TestS197_ReadingBelowStopsAtTheReadLimits(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := serveTLS(t, l, loop.ServerOptions{})
		server, client := a.DialTLS(loop.ConnectionOptions{})
		const size = 8 << 20
		r := client.Transport().(readLimiter)
		looptest.Do(l, func() {
			if got := r.ReadBufferLimits(); got != (transport.Limits{High: 256 << 10,
				Low: 64 << 10}) {
				t.Errorf("limits %+v", got)
			}
			if err := r.SetReadBufferLimits(transport.Limits{High: 1, Low: 2}); !errors.Is(err,
				transport.ErrBadLimits) {
				t.Error(err)
			}
			if err := r.SetReadBufferLimits(transport.Limits{High: 100 << 10, Low: 0}); err != nil {
				t.Error(err)
			}
			client.Transport().PauseReading()
			server.Transport().Write(make([]byte, size))
			server.Transport().Close() // the end is held back, too
		})
		looptest.WaitFor(t, l, "a full buffer", func() bool { return r.ReadBufferSize() > 100<<10 })
		looptest.Pass(t, l, 10*time.Millisecond)
		looptest.Do(l, func() {
			if n := r.ReadBufferSize(); n > 400<<10 || client.Received() != 0 {
				t.Errorf("%d bytes held, %d delivered while paused", n, client.Received())
			}
			client.Transport().ResumeReading()
			if client.Received() != 0 {
				t.Error("delivered inside ResumeReading")
			}
		})
		lost(t, l, client, nil)
		if client.Received() != size || client.Count("eof") != 1 {
			t.Errorf("received %d of %d, %d times EOF", client.Received(), size,
				client.Count("eof"))
		}
	})
}

func TestS200_AnEndThatCameWithTheDataWaitsForResumeReading(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := serveTLS(t, l, loop.ServerOptions{})
		server, client := a.DialTLS(loop.ConnectionOptions{TLS: &loop.TLSOptions{
			RequireCloseNotify: true}})
		looptest.Do(l, func() {
			client.On.Data = func([]byte) { client.Transport().PauseReading() }
			server.Transport().Write([]byte("the last word"))
			server.Transport().Close()
		})
		looptest.WaitFor(t, l, "the data", func() bool { return client.Received() > 0 })
		looptest.Pass(t, l, 10*time.Millisecond)
		looptest.Do(l, func() {
			if over, _ := client.Lost(); over || client.GotEOF() {
				t.Errorf("while reading is paused: %s", client.Trace())
			}
			client.Transport().ResumeReading()
		})
		lost(t, l, client, nil)
		if client.Count("eof") != 1 {
			t.Error(client.Trace())
		}
	})
}

func TestS204_AWriteErrorBelowReachesTheApplication(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := serveTLS(t, l, loop.ServerOptions{}).DialTLS(loop.ConnectionOptions{})
		looptest.Do(l, func() {
			client.Transport().Write(make([]byte, 20<<20))
			server.Transport().PauseReading()
		})
		looptest.Pass(t, l, 5*time.Millisecond)
		looptest.Do(l, func() { looptest.Reset(l, server.Transport()) })
		looptest.WaitFor(t, l, "ConnectionLost", func() bool { is, _ := client.Lost(); return is })
		if _, err := client.Lost(); !errors.Is(err, syscall.ECONNRESET) &&
			!errors.Is(err, syscall.EPIPE) {
			t.Errorf("ConnectionLost(%v) after a reset", err)
		}
		looptest.Do(l, func() {
			if _, err := client.Transport().Write([]byte("x")); !errors.Is(err,
				transport.ErrClosed) {
				t.Errorf("Write after the loss: %v", err)
			}
		})
	})
}

func TestS205_PanicEndsWithoutCloseNotify(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		const message = "Fatal error: protocol.data_received() call failed."
		a := serveTLS(t, l, loop.ServerOptions{})
		server, client := a.DialTLS(loop.ConnectionOptions{TLS: &loop.TLSOptions{
			RequireCloseNotify: true}})
		looptest.Expect(l, message)
		looptest.Do(l, func() {
			server.On.Data = func([]byte) { panic("planned") }
			client.Transport().Write([]byte("boom"))
		})
		lost(t, l, client, transport.ErrNoCloseNotify)
		for _, e := range looptest.Exceptions(l) {
			if e.Message == message && e.Transport != transport.BaseTransport(server.Transport()) {
				t.Errorf("reported of %v", e.Transport)
			}
		}
	})
}

func TestS207_BufferedProtocolOverTLS(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := serveTLS(t, l, loop.ServerOptions{})
		client := transporttest.NewRecorder(t)
		_, err := l.CreateConnection(rig.WithTimeout(t), client.Buffered(100<<10),
			a.Addrs()[0].String(), &loop.ConnectionOptions{TLS: &loop.TLSOptions{
				Config: rig.ClientTLS()}})
		if err != nil {
			t.Fatal(err)
		}
		rig.AbortAtEnd(t, l, client)
		looptest.WaitFor(t, l, "the accept", func() bool {
			return len(a.Got) == 1 && a.Got[0].Transport() != nil
		})
		looptest.Pass(t, l, 5*time.Millisecond) // for the session tickets
		if client.Count("get") != 0 {
			t.Error("GetBuffer without plaintext")
		}
		looptest.Do(l, func() {
			for range 3 {
				a.Got[0].Transport().Write(make([]byte, 5000))
			}
		})
		looptest.WaitFor(t, l, "the data", func() bool { return client.Received() == 15000 })
		if gets, updates := client.Count("get"), client.Count("updated"); gets != updates ||
			gets > 6 {
			t.Errorf("%d buffers and %d updates for 12 records", gets, updates)
		}
	})
}

func TestS215_FirstDataComesAfterTheWaiter(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		order := ""
		server := transporttest.NewRecorder(t)
		factory := func() protocol.Protocol { return server }
		s, err := l.CreateServer(rig.WithTimeout(t), factory, "127.0.0.1:0",
			&loop.ServerOptions{TLS: &loop.TLSOptions{Config: rig.ServerTLS()}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		server.On.Made = func(tr transport.Transport) { tr.Write([]byte("welcome")) }
		client := transporttest.NewRecorder(t)
		client.On.Made = func(transport.Transport) { order += "made " }
		client.On.Data = func([]byte) { order += "data" }
		looptest.Do(l, func() {
			l.CreateConnectionFunc(t.Context(), client, s.Addrs()[0].String(),
				&loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: rig.ClientTLS()}},
				func(_ transport.Transport, err error) { order += "done " })
		})
		rig.AbortAtEnd(t, l, client, server)
		looptest.WaitFor(t, l, "the data", func() bool { return client.Received() == 7 })
		looptest.Do(l, func() {
			if order != "made done data" {
				t.Error(order)
			}
		})
	})
}
