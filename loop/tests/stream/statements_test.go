package stream_test

import (
	"errors"
	"runtime"
	"syscall"
	"testing"
	"weak"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// Debug mode panics where CallSoon is called on another goroutine.
func TestS001_AFactoryIsCalledOnceForEachConnectionOnTheLoop(t *testing.T) {
	looptest.EnginesWith(t, loop.Options{Debug: true}, func(t *testing.T, l *loop.Loop) {
		var made []*transporttest.Recorder
		s, err := l.CreateServer(rig.WithTimeout(t), func() protocol.Protocol {
			l.CallSoon(func() {})
			made = append(made, transporttest.NewRecorder(t))
			return made[len(made)-1]
		}, "127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= 3; n++ {
			client := transporttest.NewRecorder(t)
			rig.AbortAtEnd(t, l, client)
			if _, err := l.CreateConnection(rig.WithTimeout(t), client,
				s.Addrs()[0].String(), nil); err != nil {
				t.Fatal(err)
			}
			looptest.WaitFor(t, l, "the accept", func() bool {
				return len(made) == n && made[n-1].Transport() != nil
			})
		}
		looptest.Do(l, func() {
			for _, r := range made {
				if r.Transport().Protocol() != transport.BaseProtocol(r) {
					t.Error("a transport has the protocol of another")
				}
				r.Transport().Abort()
			}
		})
		s.Close()
	})
}

// connectUnowned connects server with a Mirror on a transport that nobody keeps.
func connectUnowned(t *testing.T, l *loop.Loop) (server *transporttest.Recorder) {
	server = transporttest.NewRecorder(t)
	rig.ConnectTCP(t, l, server, rig.NewMirror())
	rig.AbortAtEnd(t, l, server)
	return server
}

// connectPaused makes a connection with a transport that nobody keeps and that is paused:
// nothing is in flight on it, so that the engine does not keep it either.
func connectPaused(t *testing.T, l *loop.Loop) weak.Pointer[pausing] {
	server, p := transporttest.NewRecorder(t), &pausing{}
	rig.ConnectTCP(t, l, server, p)
	rig.AbortAtEnd(t, l, server)
	return weak.Make(p)
}

// pausing pauses reading at the beginning.
type pausing struct {
	rig.CountingProtocol
	t transport.Transport
}

// ConnectionMade implements protocol.Protocol.
func (p *pausing) ConnectionMade(t transport.Transport) {
	p.t = t
	t.PauseReading()
}

func TestS035_TheCollectorClosesNothing(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, paused := connectUnowned(t, l), connectPaused(t, l)
		looptest.Turns(l, 3)
		for range 3 {
			runtime.GC()
		}
		looptest.Do(l, func() {
			if p := paused.Value(); p != nil {
				p.t.Abort()
			} else {
				t.Error("the protocol of a paused transport was collected")
			}
		})
		looptest.Do(l, func() { server.Transport().Write([]byte("still there?")) })
		looptest.WaitFor(t, l, "the answer", func() bool {
			return string(server.Data()) == "still there?"
		})
	})
}

// take receives up to a byte behind the back of a transport.
func take(t *testing.T, l *loop.Loop, tr transport.Transport) (n int) {
	s, ok := transport.Socket(tr)
	if !ok {
		return 0
	}
	err := s.Control(func(fd uintptr) {
		n, _, _ = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_DONTWAIT)
	})
	if err != nil {
		t.Error(err)
	}
	return max(n, 0)
}

// On epoll two connections are known to have input when the first of them takes
// what is the other's. On io_uring each has received its own by then.
func TestS041_AReceiveThatFindsNothingIsNotNoticed(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		conns := rig.OutsideConns(t, l, "tcp", 2)
		taken := 0
		looptest.Do(l, func() {
			for i, g := range conns {
				other := conns[1-i].Recorder
				g.On.Data = func([]byte) {
					if taken == 0 && other.Received() == 0 {
						taken += take(t, l, other.Transport())
					}
				}
			}
			for _, g := range conns { // while the loop cannot look
				if _, err := g.Peer.Write([]byte("x")); err != nil {
					t.Error(err)
				}
			}
		})
		received := func() int { return conns[0].Received() + conns[1].Received() }
		looptest.WaitFor(t, l, "both bytes", func() bool { return received()+taken == 2 })
		if l.Engine() == loop.Epoll && taken != 1 {
			t.Errorf("%d bytes were taken", taken)
		}
		for _, g := range conns {
			if _, err := g.Peer.Write([]byte("and more")); err != nil {
				t.Fatal(err)
			}
		}
		looptest.WaitFor(t, l, "the rest", func() bool { return received()+taken == 18 })
	})
}

func TestS087_WhichTransportsCanWriteEOF(t *testing.T) {
	for name, c := range map[string]struct {
		connect       func(t *testing.T, l *loop.Loop, p, peer protocol.Protocol)
		first, second bool
	}{
		"TCP":                {rig.ConnectTCP, true, true},
		"Unix":               {rig.ConnectUnix, true, true},
		"TLS":                {rig.ConnectTLS, false, false},
		"a reader, a writer": {rig.ConnectPipe, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
				p, peer := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
				c.connect(t, l, p, peer)
				rig.AbortAtEnd(t, l, p, peer)
				looptest.Do(l, func() {
					if got := p.Transport().CanWriteEOF(); got != c.first {
						t.Errorf("%v: %v", p.Transport(), got)
					}
					if got := peer.Transport().CanWriteEOF(); got != c.second {
						t.Errorf("%v: %v", peer.Transport(), got)
					}
				})
			})
		})
	}
}

func TestS119_APanicInConnectionMadeIsWhatCreateConnectionReturns(t *testing.T) {
	for name, o := range map[string]struct{ server, client *loop.TLSOptions }{
		"plain": {},
		"TLS": {&loop.TLSOptions{Config: rig.ServerTLS()},
			&loop.TLSOptions{Config: rig.ClientTLS()}},
	} {
		t.Run(name, func(t *testing.T) {
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
				a := rig.Serve(t, l, "", &loop.ServerOptions{TLS: o.server})
				r := transporttest.NewRecorder(t)
				r.On.Made = func(transport.Transport) { panic("planned") }
				looptest.Expect(l, "Fatal error: protocol.connection_made() call failed.")
				tr, err := l.CreateConnection(rig.WithTimeout(t), r, a.Addrs()[0].String(),
					&loop.ConnectionOptions{TLS: o.client})
				var p *protocol.PanicError
				if !errors.As(err, &p) || p.Callback != "ConnectionMade" || tr != nil {
					t.Errorf("CreateConnection: %v, %v", tr, err)
				}
				rig.WaitLost(t, l, r)
				if _, lost := r.Lost(); !errors.As(lost, &p) {
					t.Errorf("ConnectionLost(%v)", lost)
				}
			})
		})
	}
}

func TestS120_APanicInConnectionLostStillEndsTheConnection(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		server, client := a.Dial()
		looptest.Expect(l, "Exception in callback protocol.connection_lost()")
		looptest.Do(l, func() {
			server.On.Lost = func(error) { panic("planned") }
			client.Transport().Close()
		})
		rig.WaitLost(t, l, server)
		looptest.Do(l, func() {
			for tr := range a.Conns() {
				t.Errorf("%v is still the server's", tr)
			}
			a.Close()
		})
		if err := a.WaitClosed(rig.WithTimeout(t)); err != nil {
			t.Error(err)
		}
	})
}
