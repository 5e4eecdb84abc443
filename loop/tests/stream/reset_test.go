package stream_test

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// What a reset is told as. A peer that breaks a connection has not ended its stream,
// so there is no EOFReceived, whatever the loop was sending at that moment; and the
// error is ECONNRESET. EPIPE is what Linux says to whoever writes after that, or
// whose peer had sent FIN before it reset (tcp_reset in net/ipv4/tcp_input.c,
// CLOSE_WAIT); and what a Unix socket says in any case.

// breaks are the ways in which a TCP peer resets.
var breaks = map[string]func(t *testing.T, g rig.OutsideConn){
	"SO_LINGER 0": func(t *testing.T, g rig.OutsideConn) { rig.Reset(t, g.Peer) },
	"close with unread input": func(t *testing.T, g rig.OutsideConn) {
		// Something to leave unread is there, unless nothing was ever written.
		g.Peer.Close()
	},
}

func TestS043_AResetWithOutputInFlightIsReportedAsAReset(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	const size, slices, room = 4 << 20, 64, 256 << 10
	outputs := map[string]func(l *loop.Loop, tr transport.Transport){
		"blocked": func(_ *loop.Loop, tr transport.Transport) { tr.Write(make([]byte, size)) },
		"blocked with slices of its own": func(_ *loop.Loop, tr transport.Transport) {
			for range slices {
				tr.(transport.OwnedWriter).WriteOwned(make([]byte, size/slices), nil)
			}
		},
		"blocked little by little": func(l *loop.Loop, tr transport.Transport) {
			drip(l, tr, slices)
		},
		// Whoever sends is then the first to hear of it.
		"blocked, reading paused": func(l *loop.Loop, tr transport.Transport) {
			tr.PauseReading()
			drip(l, tr, slices)
		},
		"taken": func(_ *loop.Loop, tr transport.Transport) { tr.Write(make([]byte, 10<<10)) },
	}
	for how, breaks := range breaks {
		for name, output := range outputs {
			t.Run(name+", "+how, func(t *testing.T) {
				rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
					conns := rig.OutsideConns(t, l, "tcp", rig.Amount(30))
					looptest.Do(l, func() {
						for _, g := range conns {
							rig.SetOption(t, g.Transport(), syscall.SO_SNDBUF, room)
							g.On.EOF = func() bool { return true }
							output(l, g.Transport())
						}
					})
					for _, g := range conns {
						if _, err := g.Peer.Write([]byte("to be held back")); err != nil {
							t.Error(err)
						}
					}
					looptest.Turns(l, 5)
					read := 1 // it has begun to arrive
					if name != "taken" {
						read = room // and then there is room for a part of the rest
					}
					for _, g := range conns {
						if err := rig.Discard(g.Peer, read); err != nil {
							t.Error(err)
						}
					}
					looptest.Turns(l, 5)
					for _, g := range conns {
						breaks(t, g)
					}
					wantResets(t, l, conns)
				})
			})
		}
	}
}

// wantResets waits for ECONNRESET, without an end of file before it.
func wantResets(t *testing.T, l *loop.Loop, conns []rig.OutsideConn) {
	t.Helper()
	wrong := map[string]int{}
	for _, g := range conns {
		rig.WaitLost(t, l, g.Recorder)
		_, err := g.Lost()
		errno := syscall.Errno(0)
		errors.As(err, &errno)
		switch {
		case g.GotEOF():
			wrong[fmt.Sprintf("EOFReceived, then ConnectionLost(%v)", errno)]++
		case errno != syscall.ECONNRESET:
			wrong[fmt.Sprintf("ConnectionLost(%v)", errno)]++
		}
	}
	for what, n := range wrong {
		t.Errorf("%d of %d: %s", n, len(conns), what)
	}
}

// The peer resets while the loop writes to it round after round.
func TestAResetBetweenTwoWritesIsReportedAsAReset(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		conns := rig.OutsideConns(t, l, "tcp", 60)
		stop := false
		var chatter func()
		chatter = func() {
			for _, g := range conns {
				if tr := g.Transport(); !tr.IsClosing() {
					tr.Write(make([]byte, 1000))
				}
			}
			if !stop {
				l.CallSoon(chatter)
			}
		}
		l.CallSoonThreadsafe(chatter)
		for _, g := range conns {
			if err := rig.Discard(g.Peer, 3000); err != nil {
				t.Error(err)
			}
			rig.Reset(t, g.Peer)
		}
		wantResets(t, l, conns)
		looptest.Do(l, func() { stop = true })
	})
}

// A reset after FIN: the end of file was told, rightly, and then the connection ends
// with what Linux says, ECONNRESET to whoever waits and EPIPE in CLOSE_WAIT.
func TestAResetAfterTheEndOfFileIsAnError(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		conns := halfClosed(t, l, "tcp", false, func(tr transport.Transport) {
			tr.Write(make([]byte, 16<<20))
		})
		for _, g := range conns {
			rig.Reset(t, g.Peer)
		}
		for _, g := range conns {
			rig.WaitLost(t, l, g.Recorder)
			_, err := g.Lost()
			if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("ConnectionLost(%v), want EPIPE or ECONNRESET", err)
			}
			if n := g.Count("eof"); n != 1 {
				t.Errorf("EOFReceived %d times", n)
			}
		}
	})
}

// A FIN with output in flight is an end and no reset: what was written still arrives.
func TestAnEndWithOutputInFlightIsNotAReset(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
				const size = 8 << 20
				conns := rig.OutsideConns(t, l, network, rig.Amount(20))
				looptest.Do(l, func() {
					for _, g := range conns {
						g.Transport().Write(make([]byte, size))
					}
				})
				for _, g := range conns {
					if err := g.Peer.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
						t.Error(err)
					}
				}
				for _, g := range conns {
					looptest.WaitFor(t, l, "the end of file", g.GotEOF)
					if err := rig.Discard(g.Peer, size); err != nil {
						t.Error(err)
					}
					rig.WaitLostWith(t, l, g.Recorder, nil)
				}
			})
		})
	}
}

func TestConnectionLostAfterAbortComesBeforeWhatIsScheduledNext(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	states := map[string]func(t *testing.T, l *loop.Loop, g rig.OutsideConn){
		"idle": func(*testing.T, *loop.Loop, rig.OutsideConn) {},
		"output in flight": func(_ *testing.T, l *loop.Loop, g rig.OutsideConn) {
			looptest.Do(l, func() { g.Transport().Write(make([]byte, 8<<20)) })
		},
		"output in flight after an end of file": func(t *testing.T, l *loop.Loop,
			g rig.OutsideConn) {
			looptest.Do(l, func() {
				g.On.EOF = func() bool { return true }
				g.Transport().Write(make([]byte, 8<<20))
			})
			if err := g.Peer.(*net.TCPConn).CloseWrite(); err != nil {
				t.Error(err)
			}
			looptest.WaitFor(t, l, "the end of file", g.GotEOF)
		},
		"an end of file": func(t *testing.T, l *loop.Loop, g rig.OutsideConn) {
			looptest.Do(l, func() { g.On.EOF = func() bool { return true } })
			if err := g.Peer.(*net.TCPConn).CloseWrite(); err != nil {
				t.Error(err)
			}
			looptest.WaitFor(t, l, "the end of file", g.GotEOF)
		},
		"reading paused": func(_ *testing.T, l *loop.Loop, g rig.OutsideConn) {
			looptest.Do(l, func() { g.Transport().PauseReading() })
		},
		"closing with output": func(_ *testing.T, l *loop.Loop, g rig.OutsideConn) {
			looptest.Do(l, func() {
				g.Transport().Write(make([]byte, 8<<20))
				g.Transport().Close()
			})
		},
	}
	for name, state := range states {
		t.Run(name, func(t *testing.T) {
			rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
				late := 0
				for _, g := range rig.OutsideConns(t, l, "tcp", 5) {
					state(t, l, g)
					looptest.Turns(l, 5)
					looptest.Do(l, func() { abortThen(l, g.Recorder, &late) })
					rig.WaitLostWith(t, l, g.Recorder, nil)
				}
				if late > 0 {
					t.Errorf("%d of 5 were lost after the function that was scheduled "+
						"after Abort", late)
				}
			})
		})
	}
}

// abortThen aborts, and counts in late whether a function scheduled behind that runs
// before ConnectionLost.
func abortThen(l *loop.Loop, r *transporttest.Recorder, late *int) {
	r.Transport().Abort()
	l.CallSoon(func() {
		if lost, _ := r.Lost(); !lost {
			*late++
		}
	})
}
