package loop_test

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/transport"
)

// gone is an address where nobody is any more.
func gone(t *testing.T, l *loop.Loop, addr string) transport.Addr {
	p := office(t, l, &postman{}, loop.DatagramOptions{LocalAddr: addr})
	looptest.Do(l, p.t.Abort)
	looptest.WaitFor(t, l, "its end", func() bool { return p.t.Protocol() == nil })
	return here(p)
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

func TestS173_with_RecvErr_an_endpoint_without_a_peer_learns_of_refusals(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
				server := office(t, l, &postman{}, loop.DatagramOptions{LocalAddr: addr})
				client := &postman{}
				sending := false
				client.failed = func(error) {
					if sending {
						t.Error("ErrorReceived from inside SendTo")
					}
				}
				office(t, l, client, loop.DatagramOptions{LocalAddr: addr, RecvErr: true})
				to := gone(t, l, addr)
				for i := range 5 {
					looptest.Do(l, func() {
						sending = true
						if err := client.t.SendTo([]byte("anybody there?"), to); err != nil {
							t.Error(err)
						}
						sending = false
					})
					looptest.WaitFor(t, l, "an error", func() bool {
						return len(client.errs) > i
					})
					sendAll(t, l, client, here(server), "you are")
				}
				wantTexts(t, l, server, "you are", "you are", "you are", "you are", "you are")
				sendAll(t, l, server, here(client), "yes")
				wantTexts(t, l, client, "yes")
				looptest.Do(l, func() {
					answers(t, client.errs, to)
					if len(client.errs) != 5 {
						t.Errorf("%d errors of 5", len(client.errs))
					}
				})
			})
		})
	}
}

// What the network answered to one datagram costs no other: without the error
// queue it would, because the next call fails with it.
func TestS173_an_answer_costs_no_later_datagram(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, gso := range []bool{false, true} {
			server := office(t, l, &postman{}, anyPort)
			client := office(t, l, &postman{}, loop.DatagramOptions{
				LocalAddr: "127.0.0.1:0", RecvErr: true, GSO: gso})
			to := gone(t, l, "127.0.0.1:0")
			want := numbered(60, 30)
			looptest.Do(l, func() {
				for i, s := range want {
					if i%10 == 5 {
						if err := client.t.SendTo([]byte("nobody"), to); err != nil {
							t.Error(err)
						}
					}
					if err := client.t.SendTo([]byte(s), here(server)); err != nil {
						t.Error(err)
					}
				}
			})
			wantTexts(t, l, server, want...)
			looptest.WaitFor(t, l, "an error", func() bool { return len(client.errs) > 0 })
			looptest.Do(l, func() {
				answers(t, client.errs, to)
				if n := client.t.WriteBufferSize(); n != 0 {
					t.Errorf("%d bytes are buffered", n)
				}
			})
		}
	})
}

// An error that a call failed with is told once, though the queue has it as well.
func TestS173_a_call_that_failed_is_told_once(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client := office(t, l, &postman{},
			loop.DatagramOptions{LocalAddr: "127.0.0.1:0", RecvErr: true})
		sendAll(t, l, client, here(client), string(make([]byte, 65_520)), "after it")
		wantTexts(t, l, client, "after it")
		looptest.Pass(t, l, 5*time.Millisecond)
		looptest.Do(l, func() {
			if len(client.errs) != 1 || !errors.Is(client.errs[0], syscall.EMSGSIZE) {
				t.Error(client.errs)
			}
		})
	})
}

// Reading the queue can be ended by the callback.
func TestS173_Abort_in_ErrorReceived_ends_the_queue(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client := &postman{}
		client.failed = func(error) { client.t.Abort() }
		office(t, l, client, loop.DatagramOptions{LocalAddr: "127.0.0.1:0", RecvErr: true})
		to := gone(t, l, "127.0.0.1:0")
		looptest.Do(l, client.t.PauseReading)
		sendAll(t, l, client, to, "a", "b", "c")
		looptest.Pass(t, l, 5*time.Millisecond)
		looptest.Do(l, func() {
			client.t.ResumeReading()
			if err := client.t.SendTo([]byte("d"), to); err != nil && client.count("lost") == 0 &&
				!client.t.IsClosing() {
				t.Error(err)
			}
		})
		looptest.WaitFor(t, l, "ConnectionLost", func() bool { return client.count("lost") == 1 })
		looptest.Do(l, func() {
			if len(client.errs) != 1 || client.lostErr != nil {
				t.Error(client.errs, client.lostErr)
			}
		})
	})
}
