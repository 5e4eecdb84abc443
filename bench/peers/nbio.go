package main

import (
	"net"
	"runtime"
	"slices"

	"github.com/lesismal/nbio"
	"github.com/lesismal/nbio/logging"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// nbioServer is nbio: pollers on level-triggered epoll that read and call back.
type nbioServer struct{}

// Name returns "nbio".
func (nbioServer) Name() string { return "nbio" }

// Serves is true of TCP and datagrams. Over Unix sockets it takes part as long as each answer
// fits into the socket, and mixes bytes up where it does not: an echo of 300,000 bytes came back
// wrong in five of twelve runs of TestPeersServe (nbio as in go.mod).
func (nbioServer) Serves(mode contest.Mode) bool {
	return mode == contest.Datagrams || mode != contest.EchoUnix && slices.Contains(modes, mode)
}

// Serve serves until the process ends.
func (nbioServer) Serve(task contest.Task, ready func(contest.Hello)) error {
	logging.SetLevel(logging.LevelNone)
	network, addr := network(task.Mode)
	datagrams := task.Mode == contest.Datagrams
	engine := nbio.NewEngine(nbio.Config{
		Network: network, Addrs: []string{addr},
		NPoller: runtime.GOMAXPROCS(0), ReadBufferSize: contest.BlockSize,
		Listen: func(network, at string) (net.Listener, error) {
			l, err := net.Listen(network, at)
			if err == nil {
				addr = l.Addr().String()
			}
			return l, err
		},
		ListenUDP: func(network string, at *net.UDPAddr) (*net.UDPConn, error) {
			c, err := net.ListenUDP(network, at)
			if err == nil {
				addr, err = c.LocalAddr().String(), c.SetReadBuffer(contest.DatagramBuffer)
			}
			return c, err
		},
	})
	engine.OnOpen(func(c *nbio.Conn) {
		c.SetSession(newStream(task, c.RemoteAddr()))
		task.Page.Conns.Add(1)
	})
	engine.OnClose(func(*nbio.Conn, error) { task.Page.Conns.Add(-1) })
	// Write sends at once, and copies what the socket does not take.
	engine.OnData(func(c *nbio.Conn, data []byte) {
		write := func(p []byte) error { _, err := c.Write(p); return err }
		if s, ok := c.Session().(*stream); ok && !datagrams {
			s.take(data, write)
			return
		}
		write(data)
	})
	if err := engine.Start(); err != nil {
		return err
	}
	ready(contest.Hello{Addr: addr, Note: "nbio, a poller per CPU, level-triggered",
		Uncounted: datagrams})
	select {}
}
