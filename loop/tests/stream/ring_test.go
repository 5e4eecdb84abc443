package stream_test

import (
	"bytes"
	"net"
	"os"
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

// A receive in flight keeps a socket open whose descriptor is closed: the peer
// would wait for ever.
func TestS442_CloseEndsTheReceiveInFlightFirst(t *testing.T) {
	kinds := map[string]func(r *transporttest.Recorder) protocol.Protocol{
		"Protocol": func(r *transporttest.Recorder) protocol.Protocol { return r },
		"BufferedProtocol": func(r *transporttest.Recorder) protocol.Protocol {
			return r.Buffered(100)
		},
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
				for _, end := range []func(transport.Transport){
					func(tr transport.Transport) { tr.Close() }, transport.Transport.Abort,
				} {
					server, client := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
					rig.ConnectTCP(t, l, kind(server), client)
					looptest.Turns(l, 3) // the receive is the kernel's by now
					looptest.Do(l, func() { end(server.Transport()) })
					rig.WaitLost(t, l, client)
					rig.WaitLost(t, l, server)
					if !client.GotEOF() {
						t.Errorf("the peer got no EOF: %s", client.Trace())
					}
				}
			})
		})
	}
}

// nonblocking is a connected pair: a file with O_NONBLOCK and its peer.
func nonblocking(t *testing.T) (*os.File, net.Conn) {
	t.Helper()
	f, peer := rig.SocketPair(t, syscall.SOCK_STREAM)
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		if err := syscall.SetNonblock(int(fd), true); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, peer
}

func TestS444_ANonblockingDescriptorIsWaitedFor(t *testing.T) {
	for _, buffered := range []bool{false, true} {
		rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
			f, peer := nonblocking(t)
			r := transporttest.NewRecorder(t)
			p := protocol.Protocol(r)
			if buffered {
				p = r.Buffered(100)
			}
			_, err := l.CreateConnection(rig.WithTimeout(t), p, "",
				&loop.ConnectionOptions{Sock: f})
			if err != nil {
				t.Fatal(err)
			}
			rig.AbortAtEnd(t, l, r)
			before, after := loop.Stats{}, loop.Stats{}
			looptest.Turns(l, 3)
			looptest.Do(l, func() { before = l.Stats() })
			looptest.Pass(t, l, 20*time.Millisecond)
			looptest.Do(l, func() { after = l.Stats() })
			if after.Operations != before.Operations {
				t.Errorf("%d operations while nothing happened",
					after.Operations-before.Operations)
			}
			if _, err := peer.Write([]byte("at last")); err != nil {
				t.Fatal(err)
			}
			looptest.WaitFor(t, l, "data", func() bool { return string(r.Data()) == "at last" })
		})
	}
}

// Several completions of one receive may be there at once. What a callback does
// between two of them must count for the second.
func TestS448_EveryCompletionOfAReceiveChecksTheStateAgain(t *testing.T) {
	acts := map[string]func(l *loop.Loop, r *transporttest.Recorder) (next *transporttest.Recorder){
		"PauseReading": func(_ *loop.Loop, r *transporttest.Recorder) *transporttest.Recorder {
			r.Transport().PauseReading()
			return nil
		},
		"Close": func(_ *loop.Loop, r *transporttest.Recorder) *transporttest.Recorder {
			r.Transport().Close()
			return nil
		},
		"Abort": func(_ *loop.Loop, r *transporttest.Recorder) *transporttest.Recorder {
			r.Transport().Abort()
			return nil
		},
		"SetProtocol": func(_ *loop.Loop, r *transporttest.Recorder) *transporttest.Recorder {
			next := transporttest.Successor(nil, r.Transport())
			r.Transport().SetProtocol(next)
			return next
		},
	}
	o := loop.Options{Buffers: loop.BufferOptions{Size: 1 << 10}} // many completions
	for name, act := range acts {
		t.Run(name, func(t *testing.T) {
			looptest.EnginesWith(t, o, func(t *testing.T, l *loop.Loop) { midway(t, l, act) })
		})
	}
}

// midway sends more than one completion brings, and acts in the first.
func midway(t *testing.T, l *loop.Loop,
	act func(l *loop.Loop, r *transporttest.Recorder) *transporttest.Recorder) {
	server, client := rig.Pair(t, l)
	message := bytes.Repeat([]byte("in order "), 8000)
	var next *transporttest.Recorder
	server.On.Data = func([]byte) {
		if server.Count("data") == 1 {
			next = act(l, server)
		} else if next != nil || server.Transport().IsClosing() || !server.Transport().IsReading() {
			t.Error("data after the act") // the Recorder sees most of it, too
		}
	}
	looptest.Do(l, func() { client.Transport().Write(message) })
	looptest.WaitFor(t, l, "data", func() bool { return server.Count("data") == 1 })
	looptest.Pass(t, l, 10*time.Millisecond)
	if n := server.Count("data"); n != 1 {
		t.Errorf("%d times data", n)
	}
	if server.Transport().IsClosing() {
		return
	}
	server.On.Data = nil
	looptest.Do(l, server.Transport().ResumeReading)
	all := func() []byte {
		data := server.Data()
		if next != nil {
			data = append(data, next.Data()...)
		}
		return data
	}
	looptest.WaitFor(t, l, "the rest", func() bool { return len(all()) >= len(message) })
	if !bytes.Equal(all(), message) {
		t.Error("the bytes are not those that were sent")
	}
}

func TestS451_CloseWithRegisteredMemoryInFlight(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		var memory []byte
		looptest.Do(l, func() { memory = l.AllocBuffer(64 << 10) })
		p := protocol.Buffered(&bufferedMirror{buf: memory})
		rig.ConnectTCP(t, l, p, &rig.CountingProtocol{})
		looptest.Turns(l, 3)
		rig.CloseRunning(t, l)
	})
}
