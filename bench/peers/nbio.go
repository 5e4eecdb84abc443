package main

import (
	"net"
	"runtime"

	"github.com/lesismal/nbio"
	"github.com/lesismal/nbio/logging"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// nbioServer is nbio: pollers on level-triggered epoll that read and call back.
type nbioServer struct{}

// Name returns "nbio".
func (nbioServer) Name() string { return "nbio" }

// Serves is true of echoes.
func (nbioServer) Serves(mode contest.Mode) bool { return echoes(mode) }

// Serve serves until the process ends.
func (nbioServer) Serve(task contest.Task, ready func(contest.Hello)) error {
	logging.SetLevel(logging.LevelNone)
	addr := ""
	engine := nbio.NewEngine(nbio.Config{
		Network: "tcp4", Addrs: []string{"127.0.0.1:0"},
		NPoller: runtime.GOMAXPROCS(0), ReadBufferSize: contest.BlockSize,
		Listen: func(network, at string) (net.Listener, error) {
			l, err := net.Listen(network, at)
			if err == nil {
				addr = l.Addr().String()
			}
			return l, err
		},
	})
	engine.OnOpen(func(*nbio.Conn) { task.Page.Conns.Add(1) })
	engine.OnClose(func(*nbio.Conn, error) { task.Page.Conns.Add(-1) })
	// Write sends at once, and copies what the socket does not take.
	engine.OnData(func(c *nbio.Conn, data []byte) { c.Write(data) })
	if err := engine.Start(); err != nil {
		return err
	}
	ready(contest.Hello{Addr: addr, Note: "nbio, a poller per CPU, level-triggered"})
	select {}
}
