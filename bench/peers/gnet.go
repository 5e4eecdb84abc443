package main

import (
	"errors"
	"log"
	"net/netip"
	"runtime"
	"slices"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// gnetServer is gnet: event loops on level-triggered epoll, as many as there are
// CPUs, each on a thread of its own.
type gnetServer struct{}

// Name returns "gnet".
func (gnetServer) Name() string { return "gnet" }

// Serves is true of TCP and datagrams: it knows no abstract names of Unix sockets.
func (gnetServer) Serves(mode contest.Mode) bool {
	return mode == contest.Datagrams || mode != contest.EchoUnix && slices.Contains(modes, mode)
}

// Serve serves until the process ends.
func (gnetServer) Serve(task contest.Task, ready func(contest.Hello)) error {
	h := &gnetHandler{task: task, ready: ready}
	network, addr := network(task.Mode)
	options := []gnet.Option{gnet.WithReadBufferCap(contest.BlockSize),
		gnet.WithNumEventLoop(runtime.GOMAXPROCS(0)), gnet.WithLogger(quiet{})}
	switch network {
	case "tcp4":
		options = append(options, gnet.WithTCPNoDelay(gnet.TCPNoDelay))
	case "udp4":
		options = append(options, gnet.WithSocketRecvBuffer(contest.DatagramBuffer))
	}
	return errors.Join(gnet.Run(h, network+"://"+addr, options...), h.err)
}

// quiet keeps gnet's log off the standard output, on which the bench listens.
type quiet struct{}

func (quiet) Debugf(string, ...any)             {}
func (quiet) Infof(string, ...any)              {}
func (quiet) Warnf(format string, args ...any)  { log.Printf(format, args...) }
func (quiet) Errorf(format string, args ...any) { log.Printf(format, args...) }
func (quiet) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }

type gnetHandler struct {
	gnet.BuiltinEventEngine
	task  contest.Task
	ready func(contest.Hello)
	err   error
}

// OnBoot says which port it got.
func (h *gnetHandler) OnBoot(engine gnet.Engine) gnet.Action {
	addr, err := boundTo(engine)
	if err != nil {
		h.err = err
		return gnet.Shutdown
	}
	h.ready(contest.Hello{Addr: addr, Note: "gnet v2, an event loop per CPU",
		Uncounted: h.task.Mode == contest.Datagrams})
	return gnet.None
}

func boundTo(engine gnet.Engine) (string, error) {
	fd, err := engine.Dup()
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	name, err := unix.Getsockname(fd)
	if err != nil {
		return "", err
	}
	at := name.(*unix.SockaddrInet4)
	return netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port)).String(), nil
}

func (h *gnetHandler) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	c.SetContext(newStream(h.task, c.RemoteAddr()))
	h.task.Page.Conns.Add(1)
	return nil, gnet.None
}

func (h *gnetHandler) OnClose(gnet.Conn, error) gnet.Action {
	h.task.Page.Conns.Add(-1)
	return gnet.None
}

func (h *gnetHandler) OnTraffic(c gnet.Conn) gnet.Action {
	data, err := c.Next(-1)
	if err != nil {
		return gnet.Close
	}
	s, ok := c.Context().(*stream)
	if !ok { // of a datagram
		c.Write(data)
		return gnet.None
	}
	if s.take(data, func(p []byte) error { _, err := c.Write(p); return err }) != nil {
		return gnet.Close
	}
	return gnet.None
}
