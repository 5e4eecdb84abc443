// Package demo stages connections that are held back in a known place each, so
// that what package pressure says of them can be compared with the truth. The
// server is one process with two loops and a ring; its peers are another.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"sync"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
)

// The scenes: what is staged on a connection.
const (
	SlowPeer     = "slow-peer"     // the peer never reads
	PausedReader = "paused-reader" // the server has paused reading
	StarvedRing  = "starved-ring"  // the server's buffer ring is empty
	SmallSndBuf  = "small-sndbuf"  // the server has a tiny SO_SNDBUF
	BusyLoop     = "busy-loop"     // the server's loop computes
	Echo         = "echo"          // healthy, with a pause between messages
	Idle         = "idle"          // connected and silent
)

// Scenes are all of them.
var Scenes = []string{SlowPeer, PausedReader, StarvedRing, SmallSndBuf, BusyLoop, Echo, Idle}

// Addresses say where each scene is played.
type Addresses map[string]netip.AddrPort

// Serve plays all scenes until ctx ends. ready is called once, with where.
func Serve(ctx context.Context, ready func(Addresses)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	where := &places{at: Addresses{}, missing: len(Scenes), ready: ready}
	var group sync.WaitGroup
	errs := make(chan error, 3)
	play := func(f func() error) {
		group.Go(func() {
			defer cancel()
			errs <- f()
		})
	}
	main := []scene{
		{SlowPeer, newWriter}, {SmallSndBuf, newSmallWriter},
		{PausedReader, newPaused}, {Echo, newEcho}, {Idle, newEcho},
	}
	play(func() error { return serveLoop(ctx, where, main) })
	play(func() error { return serveLoop(ctx, where, []scene{{BusyLoop, newBusy}}) })
	play(func() error { return serveRing(ctx, where) })
	group.Wait()
	close(errs)
	var all error
	for err := range errs {
		if !errors.Is(err, context.Canceled) {
			all = errors.Join(all, err)
		}
	}
	return all
}

// A scene is a server of one loop.
type scene struct {
	name    string
	factory protocol.Factory
}

// places collects addresses until all are known.
type places struct {
	mu      sync.Mutex
	at      Addresses
	missing int
	ready   func(Addresses)
}

func (p *places) add(name string, address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at[name] = at
	if p.missing--; p.missing == 0 {
		p.ready(p.at)
	}
	return nil
}

func serveLoop(ctx context.Context, where *places, scenes []scene) error {
	runtime.LockOSThread()
	o := loop.Options{FlowPage: true}
	return o.Run(ctx, func(ctx context.Context, l *loop.Loop) error {
		for _, s := range scenes {
			server, err := l.CreateServer(ctx, s.factory, "127.0.0.1:0", nil)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			defer server.AbortClients()
			if err := where.add(s.name, server.Addrs()[0].String()); err != nil {
				return err
			}
		}
		<-ctx.Done()
		return nil
	})
}

// closeAll closes what is not nil.
func closeAll(closers ...io.Closer) error {
	var err error
	for _, c := range closers {
		err = errors.Join(err, c.Close())
	}
	return err
}
