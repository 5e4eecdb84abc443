package looptest_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// served makes a server on n and connects a peer to it.
func served(t *testing.T, n *looptest.Network) (*transporttest.Recorder, *looptest.Peer) {
	t.Helper()
	r := transporttest.NewRecorder(t)
	s, err := n.CreateServer(t.Context(), func() protocol.Protocol { return r }, "127.0.0.1:7", nil)
	if err != nil {
		t.Fatal(err)
	}
	p := n.Dial("127.0.0.1:7")
	looptest.WaitFor(t, n.Loop, "the connection", func() bool {
		return p.Connected() && r.Transport() != nil
	})
	s.Close()
	return r, p
}

// gone waits for ConnectionLost and returns its error.
func gone(t *testing.T, n *looptest.Network, r *transporttest.Recorder) error {
	t.Helper()
	looptest.WaitFor(t, n.Loop, "ConnectionLost", func() bool {
		lost, _ := r.Lost()
		return lost && n.Stats().Transports == 0
	})
	_, err := r.Lost()
	return err
}

func TestPeerSendsReceivesAndEnds(t *testing.T) {
	n := looptest.New(t, looptest.Options{})
	r, p := served(t, n)
	if p.LocalAddr() != transport.PeerName(r.Transport()).String() ||
		p.RemoteAddr() != "127.0.0.1:7" {
		t.Errorf("%s is connected to %s", p.LocalAddr(), p.RemoteAddr())
	}
	p.Send([]byte("to you"))
	looptest.WaitFor(t, n.Loop, "data", func() bool { return string(r.Data()) == "to you" })
	told := 0
	p.Notify(func() { told++ })
	looptest.Do(n.Loop, func() { r.Transport().Write([]byte("to me")) })
	looptest.WaitFor(t, n.Loop, "an answer", func() bool { return string(p.Received()) == "to me" })
	looptest.WaitFor(t, n.Loop, "to be told", func() bool { return told > 0 })
	p.CloseWrite()
	if err := gone(t, n, r); err != nil || !r.GotEOF() {
		t.Errorf("ConnectionLost(%v)", err)
	}
	looptest.WaitFor(t, n.Loop, "EOF", p.EOF)
	p.Close()
	if p.Err() != nil || p.Pending() != 0 {
		t.Errorf("the peer met %v", p.Err())
	}
}

func TestPeerThatDoesNotReadPausesTheWriter(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	n := looptest.New(t, looptest.Options{})
	r, p := served(t, n)
	p.PauseReading()
	message := strings.Repeat("more than fits. ", 300000)
	looptest.Do(n.Loop, func() { r.Transport().Write([]byte(message)) })
	looptest.Pass(t, n.Loop, time.Second)
	looptest.Do(n.Loop, func() {
		if !r.Transport().WritePaused() || len(p.Received()) > 0 {
			t.Errorf("the writer is not paused, %d bytes were read", len(p.Received()))
		}
	})
	p.ResumeReading()
	looptest.WaitFor(t, n.Loop, "all", func() bool { return len(p.Received()) == len(message) })
	p.Close()
	if err := gone(t, n, r); err != nil {
		t.Errorf("ConnectionLost(%v)", err)
	}
}

func TestResetIsECONNRESETAtTheOtherEnd(t *testing.T) {
	n := looptest.New(t, looptest.Options{})
	r, p := served(t, n)
	p.Reset()
	if err := gone(t, n, r); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("ConnectionLost(%v)", err)
	}
	r, p = served(t, n)
	looptest.Do(n.Loop, func() { looptest.Reset(n.Loop, r.Transport()) })
	if err := gone(t, n, r); err != nil {
		t.Errorf("ConnectionLost(%v) of the end that reset", err)
	}
	looptest.WaitFor(t, n.Loop, "the reset", func() bool { return p.Err() != nil })
	if !errors.Is(p.Err(), syscall.ECONNRESET) {
		t.Errorf("the peer met %v", p.Err())
	}
}

func TestListenerMakesPeers(t *testing.T) {
	n := looptest.New(t, looptest.Options{})
	var got *looptest.Peer
	l, err := n.Listen("127.0.0.1:0", func(p *looptest.Peer) {
		got = p
		p.Send([]byte("welcome"))
		p.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Listen(l.Addr(), nil); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second listener: %v", err)
	}
	r := transporttest.NewRecorder(t)
	if _, err := n.CreateConnection(t.Context(), r, l.Addr(), nil); err != nil {
		t.Fatal(err)
	}
	if err := gone(t, n, r); err != nil || string(r.Data()) != "welcome" || got == nil {
		t.Errorf("received %q, ConnectionLost(%v)", r.Data(), err)
	}
	l.Close()
	_, err = n.CreateConnection(t.Context(), transporttest.NewRecorder(t), l.Addr(), nil)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := n.Listen("no address", nil); err == nil {
		t.Error("no address is no error")
	}
}

func TestRoutes(t *testing.T) {
	n := looptest.New(t, looptest.Options{})
	dial := func(addr string) (time.Duration, error) {
		began := n.Time()
		_, err := n.CreateConnection(t.Context(), transporttest.NewRecorder(t), addr,
			&loop.ConnectionOptions{})
		return n.Time() - began, err
	}
	n.SetRoute("192.0.2.1", looptest.Silent)
	n.SetRoute("192.0.2.2", looptest.Refusing)
	if took, err := dial("192.0.2.1:80"); !errors.Is(err, syscall.ETIMEDOUT) || took < time.Minute {
		t.Errorf("silent: %v after %v", err, took)
	}
	if _, err := dial("192.0.2.2:80"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("refusing: %v", err)
	}
	if _, err := dial("192.0.2.3:80"); !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("unreachable: %v", err)
	}
	n.SetRoute("192.0.2.4", looptest.Local)
	l, err := n.Listen("192.0.2.4:80", func(p *looptest.Peer) { p.Close() })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := transporttest.NewRecorder(t)
	if _, err := n.CreateConnection(t.Context(), r, "192.0.2.4:80", nil); err != nil {
		t.Errorf("local: %v", err)
	}
	gone(t, n, r)
}
