package server_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
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

func TestS226_ServerListensAtOnce(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		if !a.IsServing() || a.Loop() != l || len(a.Addrs()) != 1 {
			t.Errorf("serving %v, addresses %v", a.IsServing(), a.Addrs())
		}
		a.Dial()
	})
}

func TestS227_DeferredServerRefusesUntilItIsStarted(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", &loop.ServerOptions{DeferServing: true})
		if a.IsServing() || a.Loop() != l {
			t.Error("serves although that was put off")
		}
		a.Refused()
		if err := errors.Join(a.StartServing(), a.StartServing()); err != nil || !a.IsServing() {
			t.Errorf("StartServing: %v", err)
		}
		a.Dial()
	})
}

func TestS229_StartServingAfterCloseIsErrServerClosed(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		a.Close()
		if err := a.StartServing(); !errors.Is(err, loop.ErrServerClosed) {
			t.Error(err)
		}
		if err := a.ServeForever(t.Context()); !errors.Is(err, loop.ErrServerClosed) {
			t.Error(err)
		}
	})
}

func TestS230_ServeForeverUntilItsContextEnds(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", &loop.ServerOptions{DeferServing: true})
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- a.ServeForever(ctx) }()
		looptest.WaitFor(t, l, "serving", a.IsServing)
		if err := a.ServeForever(t.Context()); !errors.Is(err, loop.ErrServing) {
			t.Errorf("a second ServeForever: %v", err)
		}
		a.Dial()
		cancel()
		if err := <-served; !errors.Is(err, context.Canceled) {
			t.Errorf("ServeForever: %v", err)
		}
		a.Refused()
	})
}

func TestS231_CloseEndsServeForever(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		served := make(chan error, 1)
		go func() { served <- a.ServeForever(context.Background()) }()
		looptest.Turns(l, 3)
		a.Close()
		if err := <-served; !errors.Is(err, loop.ErrServerClosed) {
			t.Errorf("ServeForever: %v", err)
		}
	})
}

func TestS232_CloseRefusesAtOnceAndKeepsConnections(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		server, client := a.Dial()
		looptest.Do(l, func() {
			if len(a.Sockets()) != 1 {
				t.Errorf("sockets %v", a.Sockets())
			}
			a.Close()
			a.Close()
			if len(a.Sockets()) != 0 {
				t.Errorf("sockets %v after Close", a.Sockets())
			}
		})
		a.Refused()
		looptest.Do(l, func() { client.Transport().Write([]byte("still here")) })
		looptest.WaitFor(t, l, "data", func() bool { return server.Received() == 10 })
	})
}

func TestS234_WaitClosedWaitsForCloseAndConnections(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		_, client := a.Dial()
		waited := make(chan error, 1)
		go func() { waited <- a.WaitClosed(context.Background()) }()
		looptest.Turns(l, 3)
		a.Close()
		looptest.Turns(l, 3)
		if len(waited) > 0 {
			t.Error("WaitClosed did not wait for the connection")
		}
		looptest.Do(l, func() { client.Transport().Close() })
		if err := <-waited; err != nil {
			t.Error(err)
		}
		if err := a.WaitClosed(t.Context()); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b := rig.Serve(t, l, "", nil)
		server, client := b.Dial()
		looptest.Do(l, client.Transport().Abort)
		rig.WaitLost(t, l, server)
		go func() { waited <- b.WaitClosed(context.Background()) }()
		looptest.Turns(l, 3)
		if len(waited) > 0 {
			t.Error("WaitClosed did not wait for Close")
		}
		defer func() {
			b.Close()
			if err := <-waited; err != nil {
				t.Error(err)
			}
		}()
		if err := b.WaitClosed(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("WaitClosed with a context at its end: %v", err)
		}
	})
}

func TestS235_CloseClientsAndAbortClients(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		s1, c1 := a.Dial()
		a.CloseClients()
		rig.WaitLost(t, l, s1)
		rig.WaitLost(t, l, c1)
		s2, _ := a.Dial()
		looptest.Do(l, func() {
			n := 0
			for range a.Conns() {
				n++
			}
			if n != 1 {
				t.Errorf("%d connections", n)
			}
		})
		a.AbortClients()
		rig.WaitLost(t, l, s2)
		if !a.IsServing() {
			t.Error("the server stopped serving")
		}
		s3, _ := a.Dial()
		looptest.Do(l, func() {
			a.Close()
			a.CloseClients()
		})
		if err := a.WaitClosed(rig.WithTimeout(t)); err != nil {
			t.Error(err)
		}
		if lost, err := s3.Lost(); !lost || err != nil {
			t.Errorf("lost %v, %v", lost, err)
		}
	})
}

func TestS235_CloseClientsLetsThemFlushAndAbortClientsDoesNot(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		server, client := a.Dial()
		looptest.Do(l, func() {
			client.Transport().PauseReading()
			server.Transport().Write(make([]byte, 16<<20))
		})
		a.CloseClients()
		looptest.Pass(t, l, 5*time.Millisecond)
		looptest.Do(l, func() {
			if is, _ := server.Lost(); is || !server.Transport().IsClosing() {
				t.Errorf("with output to send: lost %v", is)
			}
		})
		a.AbortClients()
		rig.WaitLostWith(t, l, server, nil)
		a.Dial() // it is still served
	})
}

func TestS239_EmptyHostIsBothFamiliesOnOnePort(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, ":0", nil)
		addrs := a.Addrs()
		if len(addrs) == 1 {
			t.Skip("needs IPv6")
		}
		first, second := addrs[0].(*net.TCPAddr), addrs[1].(*net.TCPAddr)
		if first.Port != second.Port || first.Port == 0 || len(first.IP) == len(second.IP) {
			t.Errorf("listens on %v", addrs)
		}
	})
}

func TestS241_AnAddressGivenTwiceIsBoundOnce(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "127.0.0.1:0", &loop.ServerOptions{
			Addrs: []string{"127.0.0.1:0", "127.0.0.2:0"}})
		if len(a.Addrs()) != 2 {
			t.Errorf("listens on %v", a.Addrs())
		}
	})
}

func TestS242_AddressInUse(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		free := rig.Serve(t, l, "127.0.0.3:0", nil)
		free.Close()
		if err := free.WaitClosed(rig.WithTimeout(t)); err != nil {
			t.Fatal(err)
		}
		first := free.Addrs()[0].String()
		_, err := l.CreateServer(rig.WithTimeout(t), a.Factory(), first,
			&loop.ServerOptions{Addrs: []string{a.Addrs()[0].String()}})
		var op *net.OpError
		if !errors.Is(err, syscall.EADDRINUSE) || !errors.As(err, &op) {
			t.Errorf("%v (%T), want a *net.OpError with EADDRINUSE", err, err)
		}
		if err != nil && !strings.Contains(err.Error(), a.Addrs()[0].String()) {
			t.Errorf("%q does not name the address", err)
		}
		rig.Serve(t, l, first, nil) // what was bound before is free again
	})
}

func TestS243_AnAddressOfAnotherMachineIsSkipped(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		const absent = "203.0.113.1:0"
		a := rig.Serve(t, l, "127.0.0.1:0", &loop.ServerOptions{Addrs: []string{absent}})
		if len(a.Addrs()) != 1 {
			t.Errorf("listens on %v", a.Addrs())
		}
		_, err := l.CreateServer(rig.WithTimeout(t), a.Factory(), absent, nil)
		if !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("%v, want EADDRNOTAVAIL", err)
		}
	})
}

// The descriptor's number may be that of another file by then.
func TestAServerMayBeClosedAfterItsLoop(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		var servers []*loop.Server
		for range 2 {
			s, err := l.CreateServer(rig.WithTimeout(t), newCounting, "127.0.0.1:0", nil)
			if err != nil {
				t.Fatal(err)
			}
			servers = append(servers, s)
		}
		rig.CloseRunning(t, l)
		other, err := net.Listen("tcp", "127.0.0.1:0") // with the number of one of them
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		servers[0].Close()
		if err := servers[1].Shutdown(t.Context()); !errors.Is(err, loop.ErrLoopClosed) {
			t.Errorf("Shutdown: %v", err)
		}
		c, err := net.Dial("tcp", other.Addr().String())
		if err != nil {
			t.Fatalf("the other listener is shut down: %v", err)
		}
		c.Close()
	})
}

// None of the methods may use a number that is another's by then, or the engine, and two
// goroutines may call them at once.
func TestAServerWhoseLoopIsClosedDoesNothing(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		serving, err := l.CreateServer(rig.WithTimeout(t), newCounting, "127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		client, err := net.Dial("tcp", serving.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		looptest.WaitFor(t, l, "the client", func() bool { return l.Stats().Transports == 1 })
		deferred, err := l.CreateServer(rig.WithTimeout(t), newCounting, "127.0.0.1:0",
			&loop.ServerOptions{DeferServing: true})
		if err != nil {
			t.Fatal(err)
		}
		rig.CloseRunning(t, l)
		if fds := append(serving.Sockets(), deferred.Sockets()...); len(fds) > 0 {
			t.Errorf("Sockets of a closed loop: %v", fds)
		}
		others := boundSockets(t, 8) // with the numbers of what was open
		var all sync.WaitGroup
		for _, f := range []func(){serving.PauseAccepting, serving.ResumeAccepting,
			serving.CloseClients, serving.AbortClients, serving.Close, deferred.Close,
			func() {
				if serving.IsServing() {
					t.Error("it serves")
				}
			}, func() {
				if err := deferred.StartServing(); !errors.Is(err, loop.ErrLoopClosed) &&
					!errors.Is(err, loop.ErrServerClosed) {
					t.Errorf("StartServing: %v", err)
				}
			}} {
			all.Go(f)
		}
		all.Wait()
		for _, fd := range others {
			if on, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET,
				syscall.SO_ACCEPTCONN); on != 0 || err != nil {
				t.Errorf("another's socket listens: %d, %v", on, err)
			}
		}
	})
}

// boundSockets makes n sockets that are bound and do not listen.
func boundSockets(t *testing.T, n int) (fds []int) {
	for range n {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Close(fd) })
		local := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
		if err := syscall.Bind(fd, local); err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
	}
	return fds
}

// A server that is made on a socket of the user's while the loop shuts down would be open
// for ever.
func TestNoServerOnASocketOfTheUsersBeginsDuringAShutdown(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		r, peer := rig.Outside(t, l)
		defer peer.Close()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		f, err := listener.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		looptest.Do(l, func() { r.Transport().Write(make([]byte, 16<<20)) }) // Shutdown waits
		down := make(chan error, 1)
		go func() { down <- l.Shutdown(ctx) }()
		for { // until the shutdown has begun
			s, err := l.CreateServer(t.Context(), newCounting, "127.0.0.1:0", nil)
			if errors.Is(err, loop.ErrLoopClosed) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
		}
		_, err = l.CreateServer(t.Context(), newCounting, "", &loop.ServerOptions{Sock: f})
		if !errors.Is(err, loop.ErrLoopClosed) {
			t.Errorf("a server during the shutdown: %v", err)
		}
		cancel()
		select {
		case <-down:
		case <-time.After(looptest.WaitTimeout):
			t.Fatal("Shutdown does not end")
		}
	})
}

func TestS002_AFactoryThatFailsDropsTheConnection(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		const message = "Error on transport creation for incoming connection"
		looptest.Expect(l, message)
		looptest.Expect(l, message)
		calls := 0
		s, err := l.CreateServer(rig.WithTimeout(t), func() protocol.Protocol {
			if calls++; calls == 1 {
				panic("planned")
			}
			return nil
		}, "127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			r := transporttest.NewRecorder(t)
			_, err := l.CreateConnection(rig.WithTimeout(t), r, s.Addrs()[0].String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			rig.WaitLost(t, l, r)
			if !r.GotEOF() {
				t.Error("the client got no EOF")
			}
		}
		if !s.IsServing() {
			t.Error("the server stopped serving")
		}
		if err := looptest.Exceptions(l)[1].Err; !errors.Is(err, transport.ErrNilProtocol) {
			t.Errorf("reported %v for a nil protocol", err)
		}
		s.Close()
	})
}

func TestS250_EachConnectionHasItsProtocolAndPeername(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		s1, c1 := a.Dial()
		s2, c2 := a.Dial()
		looptest.Do(l, func() {
			for _, p := range [][2]*transporttest.Recorder{{s1, c1}, {s2, c2}} {
				got := transport.PeerName(p[0].Transport())
				want := transport.SockName(p[1].Transport())
				if got == nil || got.String() != want.String() {
					t.Errorf("peername %v, the client's sockname is %v", got, want)
				}
			}
		})
		if s1 == s2 || s1.Transport() == s2.Transport() {
			t.Error("two connections share a protocol or a transport")
		}
	})
}

func TestS247_ManyConnectionsAtOnce(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		const count = 50
		a := rig.Serve(t, l, "", nil)
		var clients []*transporttest.Recorder
		failed, dialed := error(nil), 0
		looptest.Do(l, func() {
			for range count {
				r := transporttest.NewRecorder(t)
				clients = append(clients, r)
				l.CreateConnectionFunc(context.Background(), r, a.Addrs()[0].String(), nil,
					func(_ transport.Transport, err error) {
						dialed++
						failed = errors.Join(failed, err)
					})
			}
		})
		rig.AbortAtEnd(t, l, clients...)
		looptest.WaitFor(t, l, "all connections", func() bool {
			return len(a.Got) == count && dialed == count
		})
		if failed != nil {
			t.Error(failed)
		}
	})
}

func TestS419_ServerShutdown(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", nil)
		server, client := a.Dial()
		stuck, peer := a.Dial()
		looptest.Do(l, func() {
			server.Transport().Write([]byte("flushed"))
			peer.Transport().PauseReading()
			stuck.Transport().Write(make([]byte, 16<<20))
		})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- a.Shutdown(ctx) }()
		rig.WaitLost(t, l, client)
		looptest.Pass(t, l, 5e6)
		if len(done) > 0 {
			t.Error("Shutdown did not wait for the flush")
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown: %v", err)
		}
		if string(client.Data()) != "flushed" {
			t.Errorf("the client received %q", client.Data())
		}
		if lost, _ := stuck.Lost(); !lost {
			t.Error("a connection outlived Shutdown")
		}
	})
}

func TestS110_WriteCapBoundsTheBuffer(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", &loop.ServerOptions{WriteCap: 100000})
		server, _ := a.Dial()
		looptest.Do(l, func() {
			tr := server.Transport()
			n, err := tr.Write(make([]byte, 100001))
			if n != 0 || !errors.Is(err, transport.ErrBufferFull) {
				t.Errorf("Write beyond the cap: %d, %v", n, err)
			}
			if _, err := tr.Write(make([]byte, 60000)); err != nil {
				t.Error(err)
			}
			size := tr.WriteBufferSize()
			if _, err := tr.Write(make([]byte, 100001-size)); !errors.Is(err,
				transport.ErrBufferFull) || tr.WriteBufferSize() != size || size == 0 {
				t.Errorf("%v with %d bytes buffered, then %d", err, size, tr.WriteBufferSize())
			}
			if _, err := tr.Write(make([]byte, 100000-size)); err != nil {
				t.Errorf("Write up to the cap: %v", err)
			}
		})
	})
}

func TestS010_S111_CloseTimeoutAndIdleTimeout(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", &loop.ServerOptions{CloseTimeout: 20e6})
		server, client := a.Dial()
		looptest.Do(l, func() {
			client.Transport().PauseReading()
			server.Transport().Write(make([]byte, 16<<20))
			server.Transport().Close()
		})
		rig.WaitLost(t, l, server)
		if _, err := server.Lost(); !errors.Is(err, transport.ErrCloseTimeout) {
			t.Errorf("ConnectionLost(%v)", err)
		}
		b := rig.Serve(t, l, "", &loop.ServerOptions{IdleTimeout: 10e6})
		quiet, _ := b.Dial()
		rig.WaitLost(t, l, quiet)
		if _, err := quiet.Lost(); !errors.Is(err, transport.ErrIdleTimeout) {
			t.Errorf("ConnectionLost(%v)", err)
		}
	})
}

func TestMaxConnsClosesConnectionsBeyondIt(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "", &loop.ServerOptions{MaxConns: 1})
		a.Dial()
		r := transporttest.NewRecorder(t)
		_, err := l.CreateConnection(rig.WithTimeout(t), r, a.Addrs()[0].String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		rig.WaitLost(t, l, r)
		if len(a.Got) != 1 {
			t.Errorf("%d protocols were made", len(a.Got))
		}
	})
}
