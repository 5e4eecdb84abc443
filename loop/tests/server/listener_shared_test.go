package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
)

// shares are the ways in which a server and somebody else come to listen on one
// socket. Each returns the server and the other's listener.
var shares = map[string]func(t *testing.T, l *loop.Loop) (*loop.Server, net.Listener){
	"Sock": func(t *testing.T, l *loop.Loop) (*loop.Server, net.Listener) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f, err := ln.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.CreateServer(rig.WithTimeout(t), rig.NewMirror, "",
			&loop.ServerOptions{Sock: f})
		if err != nil {
			t.Fatal(err)
		}
		return s, ln
	},
	"UnixSock": func(t *testing.T, l *loop.Loop) (*loop.Server, net.Listener) {
		ln := rig.Listener(t, rig.SocketPath(t))
		f, err := ln.File()
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.CreateUnixServer(rig.WithTimeout(t), rig.NewMirror, "",
			&loop.UnixServerOptions{NoCleanupSocket: true,
				ServerOptions: loop.ServerOptions{Sock: f}})
		if err != nil {
			t.Fatal(err)
		}
		return s, ln
	},
	"Sockets": func(t *testing.T, l *loop.Loop) (*loop.Server, net.Listener) {
		s, err := l.CreateServer(rig.WithTimeout(t), rig.NewMirror, "127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		dup := -1
		looptest.Do(l, func() { dup, err = syscall.Dup(s.Sockets()[0]) })
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(dup), "listener")
		defer f.Close()
		ln, err := net.FileListener(f)
		if err != nil {
			t.Fatal(err)
		}
		return s, ln
	},
}

// endings are the ways in which a server ends.
var endings = map[string]func(t *testing.T, l *loop.Loop, s *loop.Server){
	"Close": func(_ *testing.T, _ *loop.Loop, s *loop.Server) { s.Close() },
	"Shutdown": func(t *testing.T, _ *loop.Loop, s *loop.Server) {
		if err := s.Shutdown(rig.WithTimeout(t)); err != nil {
			t.Error(err)
		}
	},
	"LoopShutdown": func(t *testing.T, l *loop.Loop, _ *loop.Server) {
		if err := l.Shutdown(rig.WithTimeout(t)); err != nil {
			t.Error(err)
		}
	},
	"LoopClose": func(t *testing.T, l *loop.Loop, _ *loop.Server) {
		for l.Stop(); errors.Is(l.Close(), loop.ErrLoopRunning); {
			l.Stop()
		}
	},
}

// serveMirror has ln's connections answered until it is closed.
func serveMirror(t *testing.T, ln net.Listener) {
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}) // not by pipes, which stay
			})
		}
	})
	t.Cleanup(func() { ln.Close(); all.Wait() })
}

// ask connects, asks and wants an answer.
func ask(addr net.Addr) error {
	c, err := net.DialTimeout(addr.Network(), addr.String(), looptest.WaitTimeout)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(looptest.WaitTimeout))
	if _, err := c.Write([]byte("ping")); err != nil {
		return err
	}
	_, err = io.ReadFull(c, make([]byte, 4))
	return err
}

func TestEndOfAServerLeavesASharedListenerToTheOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for how, share := range shares {
		for what, end := range endings {
			t.Run(how+"/"+what, func(t *testing.T) {
				rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
					s, ln := share(t, l)
					if err := ask(s.Addrs()[0]); err != nil {
						t.Fatal("before:", err)
					}
					end(t, l, s)
					serveMirror(t, ln)
					for range 3 {
						if err := ask(ln.Addr()); err != nil {
							t.Error("afterwards:", err)
						}
					}
				})
			})
		}
	}
}

// A server that takes over listens on the same socket while clients come all the time:
// each is answered by the one or by the other.
func TestNoClientIsLostWhenAServerLeavesASharedListener(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for how, share := range shares {
		t.Run(how, func(t *testing.T) {
			rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
				s, ln := share(t, l)
				serveMirror(t, ln)
				var clients sync.WaitGroup
				ready := make(chan struct{}, 1000)
				for range 8 {
					clients.Go(func() {
						for range 100 {
							if err := ask(ln.Addr()); err != nil {
								t.Error(err)
							}
							ready <- struct{}{}
						}
					})
				}
				for range 200 {
					<-ready
				}
				s.Close()
				clients.Wait()
			})
		})
	}
}

func TestSharedListenerThatNobodyElseHasEndsWithItsServer(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		s, ln := shares["Sock"](t, l)
		ln.Close()
		if err := ask(s.Addrs()[0]); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), looptest.WaitTimeout)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := ask(s.Addrs()[0]); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v, want ECONNREFUSED", err)
		}
	})
}
