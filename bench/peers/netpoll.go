package main

import (
	"context"
	"runtime"
	"slices"

	"github.com/cloudwego/netpoll"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// netpollServer is netpoll: pollers that read into linked buffers, and handlers on
// its pool of goroutines, which write without a copy.
type netpollServer struct{}

// Name returns "netpoll".
func (netpollServer) Name() string { return "netpoll" }

// Serves is true of streams.
func (netpollServer) Serves(mode contest.Mode) bool { return slices.Contains(modes, mode) }

// Serve serves until the process ends.
func (netpollServer) Serve(task contest.Task, ready func(contest.Hello)) error {
	err := netpoll.Configure(netpoll.Config{PollerNum: runtime.GOMAXPROCS(0)})
	if err != nil {
		return err
	}
	listener, err := netpoll.CreateListener(network(task.Mode))
	if err != nil {
		return err
	}
	loop, err := netpoll.NewEventLoop(netpollTake,
		netpoll.WithOnConnect(func(ctx context.Context, c netpoll.Connection) context.Context {
			task.Page.Conns.Add(1)
			return context.WithValue(ctx, streamKey{}, newStream(task, c.RemoteAddr()))
		}),
		netpoll.WithOnDisconnect(func(context.Context, netpoll.Connection) {
			task.Page.Conns.Add(-1)
		}))
	if err != nil {
		return err
	}
	ready(contest.Hello{Addr: listener.Addr().String(), Note: "netpoll, a poller per CPU"})
	return loop.Serve(listener)
}

// streamKey is where a connection's context has its stream.
type streamKey struct{}

// netpollTake hands the slices that came, or the pattern's, over to the writer, which
// is flushed before they are released.
func netpollTake(ctx context.Context, c netpoll.Connection) error {
	in, out := c.Reader(), c.Writer()
	data, err := in.Next(in.Len())
	if err != nil {
		return err
	}
	err = ctx.Value(streamKey{}).(*stream).take(data, func(p []byte) error {
		if _, err := out.WriteBinary(p); err != nil {
			return err
		}
		return out.Flush()
	})
	if err != nil {
		return err
	}
	return in.Release()
}
