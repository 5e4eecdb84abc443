package tls_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// lost waits for ConnectionLost of r and checks its error.
func lost(t *testing.T, l *loop.Loop, r *transporttest.Recorder, want error) {
	t.Helper()
	looptest.WaitFor(t, l, "ConnectionLost", func() bool { lost, _ := r.Lost(); return lost })
	if _, err := r.Lost(); !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("ConnectionLost(%v), want %v", err, want)
	}
}

func TestS184_CloseFlushesAndBothSidesEndWithCloseNotify(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		const wait = time.Minute // whose passing is an error
		a := serveTLS(t, l, loop.ServerOptions{TLS: &loop.TLSOptions{
			RequireCloseNotify: true, ShutdownTimeout: wait}})
		server, client := a.DialTLS(loop.ConnectionOptions{TLS: &loop.TLSOptions{
			RequireCloseNotify: true, ShutdownTimeout: wait}})
		size := 3 << 20
		notified := false
		looptest.Do(l, func() {
			server.On.EOF = func() bool {
				notified, _ = server.Transport().ExtraInfo("close_notify").(bool)
				return true // without effect
			}
			client.Transport().Write(make([]byte, size))
			client.Transport().Close()
		})
		lost(t, l, client, nil)
		lost(t, l, server, nil)
		if server.Received() != size || server.Count("eof") != 1 || client.Count("eof") != 0 {
			t.Errorf("received %d of %d, EOF %d and %d times", server.Received(), size,
				server.Count("eof"), client.Count("eof"))
		}
		if !notified {
			t.Error("the server does not know of the client's close_notify")
		}
	})
}

// muteTLS connects a client whose peer reads and answers nothing any more.
func muteTLS(t *testing.T, l *loop.Loop, opts loop.ConnectionOptions,
) (client *transporttest.Recorder, freeze func()) {
	a := serveTLS(t, l, loop.ServerOptions{})
	server, client := a.DialTLS(opts)
	return client, func() {
		below := server.Transport().(interface{ Underlying() transport.Transport }).Underlying()
		below.PauseReading()
		if err := below.SetProtocol(transporttest.Successor(t, below)); err != nil {
			t.Error(err)
		}
		t.Cleanup(func() { looptest.Do(l, below.Abort) })
	}
}

func TestS185_ShutdownTimeout(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, freeze := muteTLS(t, l, loop.ConnectionOptions{TLS: &loop.TLSOptions{
			ShutdownTimeout: 30 * time.Millisecond}})
		looptest.Do(l, func() { freeze(); client.Transport().Close() })
		lost(t, l, client, transport.ErrShutdownTimeout)

		client, freeze = muteTLS(t, l, loop.ConnectionOptions{})
		var began, took time.Duration
		looptest.Do(l, func() {
			freeze()
			began = l.Time()
			client.On.Lost = func(error) { took = l.Time() - began }
			client.Transport().Close()
		})
		lost(t, l, client, nil)            // nobody asked for the answer
		if took > looptest.WaitTimeout/2 { // S186 measures the second
			t.Errorf("Close took %v although the peer does not answer", took)
		}
	})
}

func TestCloseTimeoutCountsFromCloseWithTLS(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, freeze := muteTLS(t, l, loop.ConnectionOptions{
			CloseTimeout: 30 * time.Millisecond})
		looptest.Do(l, func() {
			freeze()
			client.Transport().Write(make([]byte, 32<<20))
			client.Transport().Close()
		})
		lost(t, l, client, transport.ErrCloseTimeout)
	})
}

func TestIdleTimeoutWithTLS(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := serveTLS(t, l, loop.ServerOptions{})
		// On a busy machine a handshake may be idle for as long, and fails.
		for timeout := 30 * time.Millisecond; ; timeout *= 2 {
			client, err := a.TryTLS(loop.ConnectionOptions{IdleTimeout: timeout})
			if err == nil {
				lost(t, l, client, transport.ErrIdleTimeout)
				return
			}
			if !errors.Is(err, transport.ErrIdleTimeout) || timeout > looptest.WaitTimeout {
				t.Fatal(err)
			}
		}
	})
}

func TestWriteCapWithTLS(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, freeze := muteTLS(t, l, loop.ConnectionOptions{WriteCap: 100 << 10})
		looptest.Do(l, func() {
			freeze()
			var err error
			for range 64 << 10 {
				if _, err = client.Transport().Write(make([]byte, 10<<10)); err != nil {
					break
				}
			}
			if n := client.Transport().WriteBufferSize(); n > 101<<10 ||
				!errors.Is(err, transport.ErrBufferFull) {
				t.Errorf("%d bytes buffered, %v", n, err)
			}
		})
	})
}

func TestS188_DataAfterCloseIsDiscardedWithoutAnError(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := serveTLS(t, l, loop.ServerOptions{})
		server, client := a.DialTLS(loop.ConnectionOptions{})
		looptest.Do(l, func() {
			server.Transport().Write(make([]byte, 100<<10))
			client.Transport().Close()
			client.Transport().Close()
			if client.Transport().IsReading() {
				t.Error("reading after Close")
			}
		})
		lost(t, l, client, nil)
		lost(t, l, server, nil)
		if client.Received() != 0 {
			t.Errorf("%d bytes after Close", client.Received())
		}
	})
}

func TestS188_AResetAfterAllWasSentIsNotAnError(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := serveTLS(t, l, loop.ServerOptions{})
		server, client := a.DialTLS(loop.ConnectionOptions{TLS: &loop.TLSOptions{
			ShutdownTimeout: time.Minute}})
		var reset func()
		reset = func() { // once the client has sent all
			if client.Transport().WriteBufferSize() > 0 {
				l.CallLater(time.Millisecond, reset)
				return
			}
			looptest.Reset(l, server.Transport())
		}
		looptest.Do(l, func() {
			server.Transport().(interface{ Underlying() transport.Transport }).
				Underlying().PauseReading()
			client.Transport().Write([]byte("the last word"))
			client.Transport().Close()
			l.CallLater(time.Millisecond, reset)
		})
		lost(t, l, client, nil)
		lost(t, l, server, nil)
	})
}

func TestS191_TruncationIsAnErrorIfThatIsAskedFor(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := serveTLS(t, l, loop.ServerOptions{})
		server, client := a.DialTLS(loop.ConnectionOptions{})
		clean := true
		looptest.Do(l, func() {
			client.On.EOF = func() bool {
				clean, _ = client.Transport().ExtraInfo("close_notify").(bool)
				return false
			}
			server.Transport().Abort()
		})
		lost(t, l, client, nil)
		if clean || client.Count("eof") != 1 {
			t.Errorf("an EOF without close_notify: clean %v, %s", clean, client.Trace())
		}

		server, client = a.DialTLS(loop.ConnectionOptions{TLS: &loop.TLSOptions{
			RequireCloseNotify: true}})
		looptest.Do(l, func() { server.Transport().Abort() })
		lost(t, l, client, transport.ErrNoCloseNotify)
		if _, err := client.Lost(); !errors.Is(err, io.ErrUnexpectedEOF) ||
			client.Count("eof") != 0 {
			t.Errorf("%v, %s", err, client.Trace())
		}

		server, client = a.DialTLS(loop.ConnectionOptions{})
		looptest.Do(l, func() { // the beginning of a record, and the end
			below := server.Transport().(interface{ Underlying() transport.Transport }).
				Underlying()
			below.Write([]byte("\x17\x03\x03\x01\x00half a record"))
			below.Close()
		})
		lost(t, l, client, transport.ErrNoCloseNotify)
	})
}

func TestS192_NoHalfClose(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		_, client := serveTLS(t, l, loop.ServerOptions{}).DialTLS(loop.ConnectionOptions{})
		looptest.Do(l, func() {
			tr := client.Transport()
			if err := tr.WriteEOF(); tr.CanWriteEOF() ||
				!errors.Is(err, transport.ErrNoHalfClose) ||
				!errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("CanWriteEOF %v, WriteEOF: %v", tr.CanWriteEOF(), err)
			}
			if tr.IsClosing() {
				t.Error("closing after WriteEOF")
			}
		})
	})
}

func TestS201_CloseWhileReadingIsPausedEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := serveTLS(t, l, loop.ServerOptions{})
		server, client := a.DialTLS(loop.ConnectionOptions{TLS: &loop.TLSOptions{
			ShutdownTimeout: time.Minute}})
		looptest.Do(l, func() {
			client.Transport().PauseReading()
			server.Transport().Write(make([]byte, 2<<20))
		})
		looptest.Pass(t, l, 20*time.Millisecond)
		looptest.Do(l, func() {
			tr := client.Transport()
			tr.Close()
			tr.Close()
			if tr.IsReading() || !tr.IsClosing() {
				t.Errorf("after Close: reading %v, closing %v", tr.IsReading(), tr.IsClosing())
			}
			if _, err := tr.Write([]byte("x")); !errors.Is(err, transport.ErrClosed) {
				t.Errorf("Write after Close: %v", err)
			}
		})
		lost(t, l, client, nil)
		lost(t, l, server, nil)
		looptest.Do(l, func() {
			if !strings.HasPrefix(client.Transport().(interface{ String() string }).String(),
				"<TLS closed") {
				t.Error(client.Transport())
			}
		})
	})
}

func TestS203_ClosingBelowIsClosing(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		_, client := serveTLS(t, l, loop.ServerOptions{}).DialTLS(loop.ConnectionOptions{})
		looptest.Do(l, func() {
			tr := client.Transport()
			tr.(interface{ Underlying() transport.Transport }).Underlying().Abort()
			if _, err := tr.Write([]byte("x")); !tr.IsClosing() || tr.IsReading() ||
				!errors.Is(err, transport.ErrClosed) {
				t.Errorf("closing %v, reading %v, Write: %v", tr.IsClosing(), tr.IsReading(), err)
			}
		})
		lost(t, l, client, nil)
	})
}

func TestServerClosesAndAbortsItsTLSClients(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := serveTLS(t, l, loop.ServerOptions{})
		server, client := a.DialTLS(loop.ConnectionOptions{TLS: &loop.TLSOptions{
			RequireCloseNotify: true}})
		looptest.Do(l, func() {
			n := 0
			for c := range a.Conns() {
				if n++; c != server.Transport() {
					t.Errorf("%v is not the TLS transport", c)
				}
			}
			if n != 1 {
				t.Errorf("%d connections", n)
			}
		})
		a.CloseClients()
		lost(t, l, client, nil) // with close_notify
		_, client = a.DialTLS(loop.ConnectionOptions{TLS: &loop.TLSOptions{
			RequireCloseNotify: true}})
		a.AbortClients()
		lost(t, l, client, transport.ErrNoCloseNotify)
	})
}
