package loop_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/transport"
)

// lengths are datagrams that GSO can group, and some that it cannot.
func lengths() (out []string) {
	for i, run := range []struct{ count, size int }{
		{200, 512}, {1, 100}, {2, 60}, {3, 0}, {5, 7}, {70, 1200}, {1, 1300}, {2, 1300},
		{3, 30_000}, {1, 65507}, {1, 1}, {130, 1}, {2, 0}, {40, 900},
	} {
		for j := range run.count {
			out = append(out, strings.Repeat(string(rune('a'+(i+j)%26)), run.size))
		}
	}
	return out
}

// bursts cuts datagrams into as many as surely find room together in the receive
// buffer, of which the kernel gives no more than net.core.rmem_max: 208 KiB by default,
// doubled. It counts a datagram with its headers, and rounded up.
func bursts(all []string) (out [][]string) {
	const room, overhead = 208 << 10, 1024
	size := room
	for i, s := range all {
		if size += 2*len(s) + overhead; size > room {
			out, size = append(out, nil), 2*len(s)+overhead
		}
		out[len(out)-1] = append(out[len(out)-1], all[i])
	}
	return out
}

// postTo sends text on the loop's goroutine.
func postTo(t *testing.T, from, to *postman, text string) {
	t.Helper()
	if err := from.t.SendTo([]byte(text), here(to)); err != nil {
		t.Error(err)
	}
}

// offloaded are two endpoints, the first of which sends to the second with GSO.
func offloaded(t *testing.T, l *loop.Loop, gro bool) (client, server *postman) {
	t.Helper()
	server = office(t, l, &postman{}, loop.DatagramOptions{LocalAddr: "127.0.0.1:0",
		GRO: gro, ReceiveBuffer: 4 << 20})
	client = office(t, l, &postman{}, loop.DatagramOptions{LocalAddr: "127.0.0.1:0", GSO: true})
	return client, server
}

func TestS174_ThePeerSeesNothingOfGSOAndTheProtocolNothingOfGRO(t *testing.T) {
	for _, gro := range []bool{false, true} {
		t.Run(fmt.Sprintf("GRO %v", gro), func(t *testing.T) {
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
				client, server := offloaded(t, l, gro)
				other := office(t, l, &postman{}, anyPort)
				var want []string
				for at, burst := range bursts(lengths()) {
					looptest.Do(l, func() {
						for i, s := range burst {
							postTo(t, client, server, s)
							if at == 0 && i == 50 { // in the middle of a group
								postTo(t, client, other, string(make([]byte, 512)))
							}
						}
					})
					want = append(want, burst...)
					wantTexts(t, l, server, want...)
				}
				wantTexts(t, l, other, string(make([]byte, 512)))
				looptest.Do(l, func() {
					for _, g := range server.got {
						if g.from != here(client) {
							t.Fatalf("from %v, not %v", g.from, here(client))
						}
					}
					if n := client.t.WriteBufferSize(); n != 0 || client.t.WritePaused() {
						t.Errorf("%d bytes are buffered", n)
					}
				})
			})
		})
	}
}

// callsOf is how many system calls a loop has made.
func callsOf(l *loop.Loop) (n uint64) {
	looptest.Do(l, func() { n = l.Stats().Syscalls })
	return n
}

func TestS174_GSOSavesCalls(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		client, server := offloaded(t, l, true)
		want := numbered(640, 100)
		before, batches := callsOf(l), 0
		for batch := range slices.Chunk(want, 64) {
			sendAll(t, l, client, here(server), batch...)
			batches++
			wantTexts(t, l, server, want[:64*batches]...)
		}
		if n := callsOf(l) - before; n > 640/4 {
			t.Errorf("%d system calls for 640 datagrams in 10 batches", n)
		}
	})
}

// statements: 146, 163, 164
func TestS174_PauseAndCloseAreSeenWithinWhatGROBrought(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := offloaded(t, l, true)
		server.received = func([]byte, transport.Addr) {
			if !server.t.IsReading() {
				t.Errorf("datagram %d in spite of a pause", len(server.got))
			}
			switch len(server.got) {
			case 3, 4, 17:
				server.t.PauseReading()
				l.CallLater(time.Millisecond, server.t.ResumeReading)
			case 40:
				server.t.Close()
			}
		}
		want := numbered(60, 200)
		sendAll(t, l, client, here(server), want...)
		looptest.WaitFor(t, l, "ConnectionLost", func() bool { return server.count("lost") == 1 })
		wantTexts(t, l, server, want[:40]...)
	})
}

// statements: 152, 155
func TestS174_AnErrorInAGroupCostsOneDatagram(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := office(t, l, &postman{}, anyPort)
		client := office(t, l, &postman{},
			loop.DatagramOptions{RemoteAddr: here(server).String(), GSO: true})
		looptest.Do(l, server.t.Abort)
		looptest.WaitFor(t, l, "its end", func() bool { return server.t.Protocol() == nil })
		// Reading is paused, so that it is a send that meets the answer to the first.
		looptest.Do(l, client.t.PauseReading)
		looptest.Turns(l, 2)
		sendAll(t, l, client, nobody, "is anybody there?")
		looptest.Pass(t, l, 20*time.Millisecond)
		again := office(t, l, &postman{}, loop.DatagramOptions{LocalAddr: here(server).String()})
		want := numbered(10, 50)
		sendAll(t, l, client, nobody, want...)
		looptest.WaitFor(t, l, "some of it", func() bool {
			return len(again.got)+len(client.errs) == 10 || len(again.got) == 10
		})
		looptest.Do(l, func() {
			got := again.texts()
			if len(client.errs) > 1 || !slices.Equal(got, want[len(want)-len(got):]) {
				t.Errorf("%d datagrams, errors %v", len(got), client.errs)
			}
			for _, err := range client.errs {
				if !errors.Is(err, syscall.ECONNREFUSED) {
					t.Error(err)
				}
			}
			if n := client.t.WriteBufferSize(); n != 0 {
				t.Errorf("%d bytes are buffered", n)
			}
		})
	})
}

// statements: 152, 157
func TestS174_AGroupThatNobodyMaySendFailsDatagramByDatagram(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		client, server := offloaded(t, l, false)
		broadcast := transport.Addr{AddrPort: netip.MustParseAddrPort("127.255.255.255:9")}
		looptest.Do(l, func() {
			for i := range 10 {
				if err := client.t.SendTo(make([]byte, 50-i/9), broadcast); err != nil {
					t.Error(err)
				}
			}
		})
		sendAll(t, l, client, here(server), "what comes after")
		wantTexts(t, l, server, "what comes after")
		looptest.Do(l, func() {
			if len(client.errs) != 10 {
				t.Errorf("%d errors for 10 datagrams", len(client.errs))
			}
			for _, err := range client.errs {
				op, ok := errors.AsType[*net.OpError](err)
				if !ok || op.Addr.String() != broadcast.String() ||
					!errors.Is(err, syscall.EACCES) {
					t.Error(err)
				}
			}
			if n := client.t.WriteBufferSize(); n != 0 {
				t.Errorf("%d bytes are buffered", n)
			}
		})
	})
}

func TestS174_WhereGroupsAreRefusedTheEndpointDoesWithout(t *testing.T) {
	told := 0
	for seed := range uint64(20) {
		var features []string
		o := looptest.Options{Seed: seed, Faults: looptest.Faults{NoGroups: 1}}
		o.Loop.Trace = &loop.Trace{Fallback: func(feature string, err error) {
			features = append(features, feature)
			if !errors.Is(err, syscall.EIO) {
				t.Error(err)
			}
		}}
		n := looptest.New(t, o)
		client, server := offloaded(t, n.Loop, seed%2 == 0)
		want := lengths()
		for batch := range slices.Chunk(want, 100) {
			sendAll(t, n.Loop, client, here(server), batch...)
		}
		wantTexts(t, n.Loop, server, want...)
		looptest.Do(n.Loop, func() {
			if len(client.errs) > 0 || len(features) > 1 {
				t.Errorf("errors %v, told %v", client.errs, features)
			}
			told += len(features)
		})
	}
	if told == 0 || told == 20 {
		t.Errorf("Trace.Fallback was told in %d of 20 worlds, want some", told)
	}
}

// The trace is told when the queue is in order again.
func TestS174_TheTraceMayAbortWhenGroupsAreGivenUp(t *testing.T) {
	aborted := 0
	for seed := range uint64(20) {
		var client *postman
		o := looptest.Options{Seed: seed, Faults: looptest.Faults{NoGroups: 1}}
		o.Loop.Trace = &loop.Trace{Fallback: func(string, error) {
			aborted++
			client.t.Abort()
		}}
		n := looptest.New(t, o)
		client, _ = offloaded(t, n.Loop, false)
		to := transport.Addr{AddrPort: netipPort(here(client), 9)}
		before := aborted
		sendAll(t, n.Loop, client, to, numbered(100, 50)...)
		looptest.WaitFor(t, n.Loop, "the end of the output", func() bool {
			return client.t.WriteBufferSize() == 0
		})
		looptest.Pass(t, n.Loop, time.Millisecond)
		if want := aborted - before; client.count("lost") != want {
			t.Errorf("seed %d: %d times ConnectionLost, want %d", seed, client.count("lost"), want)
		}
	}
	if aborted == 0 {
		t.Error("no seed leads to a fallback")
	}
}

// A datagram that is refused alone as well says nothing about groups.
func TestS174_AnAddressThatIsNoneDoesNotEndGroups(t *testing.T) {
	onKernels(t, func(t *testing.T, l *loop.Loop) {
		client, server := offloaded(t, l, false)
		to := here(server)
		noPort := transport.Addr{AddrPort: netipPort(to, 0)}
		sendAll(t, l, client, noPort, numbered(5, 80)...)
		looptest.WaitFor(t, l, "errors", func() bool { return len(client.errs) == 5 })
		before := callsOf(l)
		want := numbered(64, 80)
		sendAll(t, l, client, to, want...)
		wantTexts(t, l, server, want...)
		if n := callsOf(l) - before; n > 100 {
			t.Errorf("%d system calls for 64 datagrams", n)
		}
		looptest.Do(l, func() {
			for _, err := range client.errs {
				if !errors.Is(err, syscall.EINVAL) {
					t.Error(err)
				}
			}
		})
	})
}

func TestGROWithSmallBuffersIsDoneWithoutAndTold(t *testing.T) {
	var features []string
	o := loop.Options{Buffers: loop.BufferOptions{Size: 4096, Max: 16}}
	o.Trace = &loop.Trace{Fallback: func(feature string, err error) {
		features = append(features, feature)
		if !errors.Is(err, loop.ErrNotSupported) {
			t.Error(err)
		}
	}}
	looptest.EnginesWith(t, o, func(t *testing.T, l *loop.Loop) {
		looptest.Do(l, func() { features = nil })
		client, server := offloaded(t, l, true)
		want := numbered(100, 1000)
		sendAll(t, l, client, here(server), want...)
		wantTexts(t, l, server, want...)
		looptest.Do(l, func() {
			if !slices.Contains(features, "UDP_GRO") {
				t.Error("told", features)
			}
		})
	})
}

func TestUnixDatagramsTakeNoNoticeOfOffloading(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		name := "@sluice-offload-" + strings.ReplaceAll(t.Name(), "/", "-")
		server := office(t, l, &postman{}, loop.DatagramOptions{LocalPath: name, GRO: true})
		client := office(t, l, &postman{},
			loop.DatagramOptions{RemotePath: name, GSO: true, RecvErr: true})
		want := numbered(50, 100)
		sendAll(t, l, client, nobody, want...)
		wantTexts(t, l, server, want...)
	})
}
