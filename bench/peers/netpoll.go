package main

import (
	"context"
	"runtime"

	"github.com/cloudwego/netpoll"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// netpollServer is netpoll: pollers that read into linked buffers, and handlers on
// its pool of goroutines, which write without a copy.
type netpollServer struct{}

// Name returns "netpoll".
func (netpollServer) Name() string { return "netpoll" }

// Serves is true of echoes.
func (netpollServer) Serves(mode contest.Mode) bool { return echoes(mode) }

// Serve serves until the process ends.
func (netpollServer) Serve(task contest.Task, ready func(contest.Hello)) error {
	err := netpoll.Configure(netpoll.Config{PollerNum: runtime.GOMAXPROCS(0)})
	if err != nil {
		return err
	}
	listener, err := netpoll.CreateListener("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	loop, err := netpoll.NewEventLoop(netpollEcho,
		netpoll.WithOnConnect(func(ctx context.Context, _ netpoll.Connection) context.Context {
			task.Page.Conns.Add(1)
			return ctx
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

// netpollEcho hands the slices that came over to the writer, which is flushed
// before they are released.
func netpollEcho(_ context.Context, c netpoll.Connection) error {
	in, out := c.Reader(), c.Writer()
	data, err := in.Next(in.Len())
	if err != nil {
		return err
	}
	if _, err := out.WriteBinary(data); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return in.Release()
}
