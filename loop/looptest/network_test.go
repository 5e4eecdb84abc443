package looptest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// echo sends back what it gets.
type echo struct {
	protocol.Base
	t transport.Transport
}

func (p *echo) ConnectionMade(t transport.Transport) { p.t = t }
func (p *echo) DataReceived(data []byte)             { p.t.Write(data) }

// exchange runs one conversation with an echo server on n, all from the loop.
func exchange(t *testing.T, n *looptest.Network, message string) *transporttest.Recorder {
	t.Helper()
	client := transporttest.NewRecorder(t)
	client.On.Made = func(tr transport.Transport) { tr.Write([]byte(message)) }
	client.On.Data = func([]byte) {
		if client.Received() == len(message) {
			client.Transport().Close()
		}
	}
	looptest.Do(n.Loop, func() {
		ctx := context.Background()
		n.CreateServerFunc(ctx, func() protocol.Protocol { return &echo{} }, "127.0.0.1:7", nil,
			func(s *loop.Server, err error) {
				if err != nil {
					t.Error(err)
					return
				}
				client.On.Lost = func(error) { s.Close() }
				n.CreateConnectionFunc(ctx, client, "127.0.0.1:7", nil,
					func(_ transport.Transport, err error) {
						if err != nil {
							t.Error(err)
						}
					})
			})
	})
	looptest.WaitFor(t, n.Loop, "the end of the conversation", func() bool {
		lost, _ := client.Lost()
		return lost && n.Stats().Transports == 0
	})
	return client
}

// TestEchoUnderFaults is how a protocol is tested: many seeds, a condition that
// must hold for all of them.
func TestEchoUnderFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	message := strings.Repeat("all bytes come back in order. ", 3000)
	for seed := range uint64(20) {
		n := looptest.New(t, looptest.Options{Seed: seed, Faults: looptest.Faults{
			PartialRead: 0.3, PartialWrite: 0.3, Delay: 0.3, Reorder: 0.3, SlowPeer: 0.3,
			NoBuffers: 0.2, Spurious: 0.2, LateCancel: 0.3}})
		if client := exchange(t, n, message); string(client.Data()) != message {
			t.Fatalf("seed %d: %d of %d bytes came back", seed, client.Received(), len(message))
		}
	}
}

func TestNetworkTimePassesWithoutWaiting(t *testing.T) {
	n := looptest.New(t, looptest.Options{})
	began, before := time.Now(), n.Time()
	fired := false
	looptest.Do(n.Loop, func() { n.CallLater(time.Hour, func() { fired = true }) })
	for done := false; !done && time.Since(began) < looptest.WaitTimeout; {
		looptest.Do(n.Loop, func() { done = fired })
	}
	if passed := n.Time() - before; !fired || passed < time.Hour {
		t.Errorf("fired %v after %v", fired, passed)
	}
}

func TestNetworkKeepsAHistory(t *testing.T) {
	n := looptest.New(t, looptest.Options{Seed: 7})
	empty := n.HistoryHash()
	exchange(t, n, "hello")
	if n.HistoryHash() == empty || !strings.Contains(n.History(), "\n") {
		t.Error("nothing happened")
	}
}

// On epoll's kernel every second accept ends with ECONNABORTED; on the ring's some do, and
// others lack descriptors or memory.
func TestS247_AConnectionThatEndedInTheQueueIsPassedOver(t *testing.T) {
	for name, o := range map[string]looptest.Options{
		"epoll": {Epoll: true, Faults: looptest.Faults{Interrupt: 0.5}},
		"ring":  {Ring: true, Faults: looptest.Faults{Accept: 0.5}},
	} {
		t.Run(name, func(t *testing.T) {
			const count = 40
			n := looptest.New(t, o)
			made, ended, dialed, outages := 0, 0, 0, 0
			n.SetExceptionHandler(func(e loop.Exception) {
				if outages++; e.Message != "socket.accept() out of system resource" {
					t.Errorf("reported %s: %v", e.Message, e.Err)
				}
			})
			server, err := n.CreateServer(t.Context(), func() protocol.Protocol {
				made++
				return transporttest.NewRecorder(t)
			}, "127.0.0.1:7", nil)
			if err != nil {
				t.Fatal(err)
			}
			looptest.Do(n.Loop, func() {
				for range count {
					r := transporttest.NewRecorder(t)
					r.On.Lost = func(error) { ended++ }
					n.CreateConnectionFunc(context.Background(), r, "127.0.0.1:7", nil,
						func(_ transport.Transport, err error) {
							if dialed++; err != nil {
								t.Error(err)
							}
						})
				}
			})
			looptest.WaitFor(t, n.Loop, "an empty queue", func() bool {
				return dialed == count && made+ended >= count
			})
			server.Close()
			server.AbortClients()
			looptest.WaitFor(t, n.Loop, "the end", func() bool {
				return ended == count && n.Stats().Transports == 0
			})
			if name == "epoll" && (made != count || outages != 0) {
				t.Errorf("%d of %d connections, %d outages", made, count, outages)
			}
		})
	}
}

func TestS249_AcceptOutOfDescriptorsIsReportedOnce(t *testing.T) {
	n := looptest.New(t, looptest.Options{})
	looptest.Expect(n.Loop, "socket.accept() out of system resource")
	var got, clients []*transporttest.Recorder
	server, err := n.CreateServer(t.Context(), func() protocol.Protocol {
		r := transporttest.NewRecorder(t)
		got = append(got, r)
		return r
	}, "127.0.0.1:7", nil)
	if err != nil {
		t.Fatal(err)
	}
	n.SetDescriptorLimit(5) // the listener, its spare, three clients, none accepted
	connect := func(r *transporttest.Recorder) {
		n.CreateConnectionFunc(context.Background(), r, "127.0.0.1:7", nil,
			func(_ transport.Transport, err error) {
				if err != nil {
					t.Error(err)
				}
			})
	}
	looptest.Do(n.Loop, func() {
		for range 3 {
			r := transporttest.NewRecorder(t)
			clients = append(clients, r)
			connect(r)
		}
	})
	looptest.WaitFor(t, n.Loop, "all to be turned away", func() bool {
		return n.Stats().Transports == 0
	})
	looptest.Pass(t, n.Loop, 5*time.Second)
	n.SetDescriptorLimit(100)
	looptest.Pass(t, n.Loop, 1500*time.Millisecond)
	late := transporttest.NewRecorder(t)
	looptest.Do(n.Loop, func() { connect(late) })
	looptest.WaitFor(t, n.Loop, "the server to recover", func() bool {
		return len(got) == 1 && late.Transport() != nil
	})
	if reports := len(looptest.Exceptions(n.Loop)); reports != 1 {
		t.Errorf("%d reports of one outage", reports)
	}
	if len(got) != 1 {
		t.Errorf("%d connections were accepted", len(got))
	}
	looptest.Do(n.Loop, func() { late.Transport().Close() })
	server.Close()
	if err := server.WaitClosed(t.Context()); err != nil {
		t.Error(err)
	}
	looptest.WaitFor(t, n.Loop, "the end", func() bool { return n.Stats().Transports == 0 })
}

// Children, too, and whenever the call from outside comes between the loop's rounds.
func TestWhatOneFunctionStartsHappensTwiceTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for seed := range uint64(40) {
		var hashes [2]uint64
		for i := range hashes {
			hashes[i] = family(t, seed)
		}
		if hashes[0] != hashes[1] {
			t.Errorf("seed %d: two histories", seed)
		}
	}
}

// talker writes to a child.
type talker struct{ protocol.SubprocessBase }

func (talker) ConnectionMade(t transport.SubprocessTransport) {
	in := t.PipeTransport(0).(transport.WriteTransport)
	_, _ = in.Write(make([]byte, 100_000)) // it may have broken by a fault
	_ = in.WriteEOF()
}

func (talker) PipeDataReceived(int, []byte) {}

// family runs some children and returns a hash of what happened.
func family(t *testing.T, seed uint64) uint64 {
	faults := looptest.RandomFaults(seed)
	faults.Spurious = 0.3
	n := looptest.New(t, looptest.Options{Seed: seed, Faults: faults})
	looptest.Turns(n.Loop, int(seed%3))
	hash := make(chan uint64, 1)
	looptest.Do(n.Loop, func() {
		for range 3 {
			n.SubprocessExecFunc(context.Background(), talker{}, []string{"cat"}, nil,
				func(c transport.SubprocessTransport, err error) {
					if err == nil {
						n.CallLater(time.Second, func() { c.Close() })
					}
				})
		}
		n.CallLater(20*time.Second, func() { hash <- n.HistoryHash() })
	})
	return <-hash
}
