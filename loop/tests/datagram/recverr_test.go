package datagram_test

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
)

// gone is an address where nobody is any more.
func gone(t *testing.T, l *loop.Loop, addr string) transport.Addr {
	p := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, loop.DatagramOptions{LocalAddr: addr})
	looptest.Do(l, p.T.Abort)
	looptest.WaitFor(t, l, "its end", func() bool { return p.T.Protocol() == nil })
	return rig.AddrOf(p)
}

// answers checks that all errors are the network's answers about an address.
func answers(t *testing.T, errs []error, to transport.Addr) {
	t.Helper()
	for _, err := range errs {
		op, isOp := errors.AsType[*net.OpError](err)
		icmp, isICMP := errors.AsType[*transport.ICMPError](err)
		switch {
		case !isOp || !isICMP || !errors.Is(err, syscall.ECONNREFUSED):
			t.Errorf("%T %v", err, err)
		case op.Addr.String() != to.String() || icmp.Offender != to.Addr():
			t.Errorf("about %v from %v: %v", op.Addr, icmp.Offender, err)
		case icmp.V6 != to.Addr().Is6() || icmp.Type == 0 || icmp.Code == 0:
			t.Errorf("%+v", icmp)
		}
	}
}

func TestS173_WithRecvErrAnEndpointWithoutAPeerLearnsOfRefusals(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
				server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
					loop.DatagramOptions{LocalAddr: addr})
				client := &rig.DatagramRecorder{}
				sending := false
				client.Failed = func(error) {
					if sending {
						t.Error("ErrorReceived from inside SendTo")
					}
				}
				rig.OpenDatagram(t, l, client, loop.DatagramOptions{LocalAddr: addr, RecvErr: true})
				to := gone(t, l, addr)
				for i := range 5 {
					looptest.Do(l, func() {
						sending = true
						if err := client.T.SendTo([]byte("anybody there?"), to); err != nil {
							t.Error(err)
						}
						sending = false
					})
					looptest.WaitFor(t, l, "an error", func() bool {
						return len(client.Errs) > i
					})
					rig.SendAll(t, l, client, rig.AddrOf(server), "you are")
				}
				rig.WantTexts(t, l, server, "you are", "you are", "you are", "you are", "you are")
				rig.SendAll(t, l, server, rig.AddrOf(client), "yes")
				rig.WantTexts(t, l, client, "yes")
				looptest.Do(l, func() {
					answers(t, client.Errs, to)
					if len(client.Errs) != 5 {
						t.Errorf("%d errors of 5", len(client.Errs))
					}
				})
			})
		})
	}
}

// What the network answered to one datagram costs no other: without the error
// queue it would, because the next call fails with it.
func TestS173_AnAnswerCostsNoLaterDatagram(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, gso := range []bool{false, true} {
			server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
			client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, loop.DatagramOptions{
				LocalAddr: "127.0.0.1:0", RecvErr: true, GSO: gso})
			to := gone(t, l, "127.0.0.1:0")
			want := numbered(60, 30)
			looptest.Do(l, func() {
				for i, s := range want {
					if i%10 == 5 {
						if err := client.T.SendTo([]byte("nobody"), to); err != nil {
							t.Error(err)
						}
					}
					if err := client.T.SendTo([]byte(s), rig.AddrOf(server)); err != nil {
						t.Error(err)
					}
				}
			})
			rig.WantTexts(t, l, server, want...)
			looptest.WaitFor(t, l, "an error", func() bool { return len(client.Errs) > 0 })
			looptest.Do(l, func() {
				answers(t, client.Errs, to)
				if n := client.T.WriteBufferSize(); n != 0 {
					t.Errorf("%d bytes are buffered", n)
				}
			})
		}
	})
}

// The error of a failed call is reported once, although the queue has it as well.
func TestS173_AFailedCallIsReportedOnce(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalAddr: "127.0.0.1:0", RecvErr: true})
		rig.SendAll(t, l, client, rig.AddrOf(client), string(make([]byte, 65_520)), "after it")
		rig.WantTexts(t, l, client, "after it")
		looptest.Pass(t, l, 5*time.Millisecond)
		looptest.Do(l, func() {
			if len(client.Errs) != 1 || !errors.Is(client.Errs[0], syscall.EMSGSIZE) {
				t.Error(client.Errs)
			}
		})
	})
}

// Reading the queue can be ended by the callback.
func TestS173_AbortInErrorReceivedEndsTheQueue(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client := &rig.DatagramRecorder{}
		client.Failed = func(error) { client.T.Abort() }
		rig.OpenDatagram(t, l, client, loop.DatagramOptions{LocalAddr: "127.0.0.1:0",
			RecvErr: true})
		to := gone(t, l, "127.0.0.1:0")
		looptest.Do(l, client.T.PauseReading)
		rig.SendAll(t, l, client, to, "a", "b", "c")
		looptest.Pass(t, l, 5*time.Millisecond)
		looptest.Do(l, func() {
			client.T.ResumeReading()
			if err := client.T.SendTo([]byte("d"), to); err != nil && client.Count("lost") == 0 &&
				!client.T.IsClosing() {
				t.Error(err)
			}
		})
		looptest.WaitFor(t, l, "ConnectionLost", func() bool { return client.Count("lost") == 1 })
		looptest.Do(l, func() {
			if len(client.Errs) != 1 || client.LostErr != nil {
				t.Error(client.Errs, client.LostErr)
			}
		})
	})
}

// What nobody takes out of the queue keeps the socket ready, which epoll says in every
// turn.
func TestS173_AQueueThatAnotherTurnedOnDoesNotKeepTheLoopBusy(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		to := gone(t, l, "127.0.0.1:0")
		for name, o := range map[string]loop.DatagramOptions{
			"connected":   {RemoteAddr: to.String()},
			"unconnected": {LocalAddr: "127.0.0.1:0"},
			"adopted":     {Sock: socketWithQueue(t)},
		} {
			client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, o)
			looptest.Do(l, func() { turnQueueOn(t, client.T) })
			for i := range 3 {
				// In groups too: sendmmsg may use the error up and say nothing.
				looptest.Do(l, func() {
					for range 1 + i*10 {
						sendOne(t, client, to, o.RemoteAddr != "")
					}
				})
				looptest.WaitFor(t, l, "an error", func() bool { return len(client.Errs) > i })
			}
			looptest.Pass(t, l, 5*time.Millisecond)
			if n := turnsAlone(t, l, 20*time.Millisecond); n > 100 {
				t.Errorf("%s: %.0f turns in 20ms of a loop that has nothing to do", name, n)
			}
		}
	})
}

func sendOne(t *testing.T, p *rig.DatagramRecorder, to transport.Addr, connected bool) {
	if connected {
		to = rig.Nobody
	}
	if err := p.T.SendTo([]byte("hello"), to); err != nil {
		t.Error(err)
	}
}

// turnsAlone is how many turns a loop makes in d, in which nobody asks it anything. The
// timer may be late on a busy machine: it is turns per time that are counted.
func turnsAlone(t *testing.T, l *loop.Loop, d time.Duration) float64 {
	done := make(chan float64, 1)
	looptest.Do(l, func() {
		before, began := l.Stats().Turns, l.Time()
		l.CallLater(d, func() {
			done <- float64(l.Stats().Turns-before) / float64(l.Time()-began) * float64(d)
		})
	})
	select {
	case n := <-done:
		return n
	case <-time.After(looptest.WaitTimeout):
		t.Fatal("the timer never came")
		return 0
	}
}

// turnQueueOn sets IP_RECVERR without the endpoint's knowledge.
func turnQueueOn(t *testing.T, d transport.DatagramTransport) {
	raw, ok := transport.Socket(d)
	if !ok {
		t.Fatal("no socket")
	}
	var err error
	controlErr := raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_IP, syscall.IP_RECVERR, 1)
	})
	if err = errors.Join(controlErr, err); err != nil {
		t.Fatal(err)
	}
}

// socketWithQueue is a socket whose maker has set IP_RECVERR.
func socketWithQueue(t *testing.T) *os.File {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_IP, syscall.IP_RECVERR, 1); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "")
}
