package datagram_test

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
	"github.com/sluice-net/sluice/loop/tests/rig"
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
func postTo(t *testing.T, from, to *rig.DatagramRecorder, text string) {
	t.Helper()
	if err := from.T.SendTo([]byte(text), rig.AddrOf(to)); err != nil {
		t.Error(err)
	}
}

// offloaded are two endpoints, the first of which sends to the second with GSO.
func offloaded(t *testing.T, l *loop.Loop, gro bool) (client, server *rig.DatagramRecorder) {
	t.Helper()
	server = rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
		loop.DatagramOptions{LocalAddr: "127.0.0.1:0",
			GRO: gro, ReceiveBuffer: 4 << 20})
	client = rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
		loop.DatagramOptions{LocalAddr: "127.0.0.1:0", GSO: true})
	return client, server
}

func TestS174_ThePeerSeesNothingOfGSOAndTheProtocolNothingOfGRO(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for _, gro := range []bool{false, true} {
		t.Run(fmt.Sprintf("GRO %v", gro), func(t *testing.T) {
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
				client, server := offloaded(t, l, gro)
				other := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
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
					rig.WantTexts(t, l, server, want...)
				}
				rig.WantTexts(t, l, other, string(make([]byte, 512)))
				looptest.Do(l, func() {
					for _, g := range server.Got {
						if g.From != rig.AddrOf(client) {
							t.Fatalf("from %v, not %v", g.From, rig.AddrOf(client))
						}
					}
					if n := client.T.WriteBufferSize(); n != 0 || client.T.WritePaused() {
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
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		client, server := offloaded(t, l, true)
		want := numbered(640, 100)
		before, batches := callsOf(l), 0
		for batch := range slices.Chunk(want, 64) {
			rig.SendAll(t, l, client, rig.AddrOf(server), batch...)
			batches++
			rig.WantTexts(t, l, server, want[:64*batches]...)
		}
		if n := callsOf(l) - before; n > 640/4 {
			t.Errorf("%d system calls for 640 datagrams in 10 batches", n)
		}
	})
}

func TestS174_PauseAndCloseAreSeenWithinWhatGROBrought(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		client, server := offloaded(t, l, true)
		server.Received = func([]byte, transport.Addr) {
			if !server.T.IsReading() {
				t.Errorf("datagram %d in spite of a pause", len(server.Got))
			}
			switch len(server.Got) {
			case 3, 4, 17:
				server.T.PauseReading()
				l.CallLater(time.Millisecond, server.T.ResumeReading)
			case 40:
				server.T.Close()
			}
		}
		want := numbered(60, 200)
		rig.SendAll(t, l, client, rig.AddrOf(server), want...)
		looptest.WaitFor(t, l, "ConnectionLost", func() bool { return server.Count("lost") == 1 })
		rig.WantTexts(t, l, server, want[:40]...)
	})
}

func TestS174_AnErrorInAGroupCostsOneDatagram(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{RemoteAddr: rig.AddrOf(server).String(), GSO: true})
		looptest.Do(l, server.T.Abort)
		looptest.WaitFor(t, l, "its end", func() bool { return server.T.Protocol() == nil })
		// Reading is paused, so that it is a send that meets the answer to the first.
		looptest.Do(l, client.T.PauseReading)
		looptest.Turns(l, 2)
		rig.SendAll(t, l, client, rig.Nobody, "is anybody there?")
		looptest.Pass(t, l, 20*time.Millisecond)
		again := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalAddr: rig.AddrOf(server).String()})
		want := numbered(10, 50)
		rig.SendAll(t, l, client, rig.Nobody, want...)
		looptest.WaitFor(t, l, "some of it", func() bool {
			return len(again.Got)+len(client.Errs) == 10 || len(again.Got) == 10
		})
		looptest.Do(l, func() {
			got := again.Texts()
			if len(client.Errs) > 1 || !slices.Equal(got, want[len(want)-len(got):]) {
				t.Errorf("%d datagrams, errors %v", len(got), client.Errs)
			}
			for _, err := range client.Errs {
				if !errors.Is(err, syscall.ECONNREFUSED) {
					t.Error(err)
				}
			}
			if n := client.T.WriteBufferSize(); n != 0 {
				t.Errorf("%d bytes are buffered", n)
			}
		})
	})
}

func TestS174_AGroupThatNobodyMaySendFailsDatagramByDatagram(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		client, server := offloaded(t, l, false)
		broadcast := transport.Addr{AddrPort: netip.MustParseAddrPort("127.255.255.255:9")}
		looptest.Do(l, func() {
			for i := range 10 {
				if err := client.T.SendTo(make([]byte, 50-i/9), broadcast); err != nil {
					t.Error(err)
				}
			}
		})
		rig.SendAll(t, l, client, rig.AddrOf(server), "what comes after")
		rig.WantTexts(t, l, server, "what comes after")
		looptest.Do(l, func() {
			if len(client.Errs) != 10 {
				t.Errorf("%d errors for 10 datagrams", len(client.Errs))
			}
			for _, err := range client.Errs {
				op, ok := errors.AsType[*net.OpError](err)
				if !ok || op.Addr.String() != broadcast.String() ||
					!errors.Is(err, syscall.EACCES) {
					t.Error(err)
				}
			}
			if n := client.T.WriteBufferSize(); n != 0 {
				t.Errorf("%d bytes are buffered", n)
			}
		})
	})
}

func TestS174_IfGroupsAreRefusedTheEndpointDoesWithoutThem(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
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
			rig.SendAll(t, n.Loop, client, rig.AddrOf(server), batch...)
		}
		rig.WantTexts(t, n.Loop, server, want...)
		looptest.Do(n.Loop, func() {
			if len(client.Errs) > 0 || len(features) > 1 {
				t.Errorf("errors %v, told %v", client.Errs, features)
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
		var client *rig.DatagramRecorder
		o := looptest.Options{Seed: seed, Faults: looptest.Faults{NoGroups: 1}}
		o.Loop.Trace = &loop.Trace{Fallback: func(string, error) {
			aborted++
			client.T.Abort()
		}}
		n := looptest.New(t, o)
		client, _ = offloaded(t, n.Loop, false)
		to := transport.Addr{AddrPort: netipPort(rig.AddrOf(client), 9)}
		before := aborted
		rig.SendAll(t, n.Loop, client, to, numbered(100, 50)...)
		looptest.WaitFor(t, n.Loop, "the end of the output", func() bool {
			return client.T.WriteBufferSize() == 0
		})
		looptest.Pass(t, n.Loop, time.Millisecond)
		if want := aborted - before; client.Count("lost") != want {
			t.Errorf("seed %d: %d times ConnectionLost, want %d", seed, client.Count("lost"), want)
		}
	}
	if aborted == 0 {
		t.Error("no seed leads to a fallback")
	}
}

// If a datagram is refused even when it is sent alone, that says nothing about groups.
func TestS174_AnInvalidAddressDoesNotEndGroups(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		client, server := offloaded(t, l, false)
		to := rig.AddrOf(server)
		noPort := transport.Addr{AddrPort: netipPort(to, 0)}
		rig.SendAll(t, l, client, noPort, numbered(5, 80)...)
		looptest.WaitFor(t, l, "errors", func() bool { return len(client.Errs) == 5 })
		before := callsOf(l)
		want := numbered(64, 80)
		rig.SendAll(t, l, client, to, want...)
		rig.WantTexts(t, l, server, want...)
		if n := callsOf(l) - before; n > 100 {
			t.Errorf("%d system calls for 64 datagrams", n)
		}
		looptest.Do(l, func() {
			for _, err := range client.Errs {
				if !errors.Is(err, syscall.EINVAL) {
					t.Error(err)
				}
			}
		})
	})
}

func TestGROIsGivenUpAndReportedIfBuffersAreTooSmall(t *testing.T) {
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
		rig.SendAll(t, l, client, rig.AddrOf(server), want...)
		rig.WantTexts(t, l, server, want...)
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
		server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalPath: name, GRO: true})
		client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{RemotePath: name, GSO: true, RecvErr: true})
		want := numbered(50, 100)
		rig.SendAll(t, l, client, rig.Nobody, want...)
		rig.WantTexts(t, l, server, want...)
	})
}
