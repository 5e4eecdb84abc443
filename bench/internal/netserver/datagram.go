package netserver

import (
	"net"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// serveDatagrams echoes datagrams until the process ends: one goroutine and the
// calls that do not allocate.
func serveDatagrams(ready func(contest.Hello)) error {
	c, err := ListenDatagrams()
	if err != nil {
		return err
	}
	ready(contest.Hello{Addr: c.LocalAddr().String(), Note: "package net, one goroutine",
		Uncounted: true})
	return EchoDatagrams(c)
}

// ListenDatagrams returns a socket on a free port of 127.0.0.1.
func ListenDatagrams() (*net.UDPConn, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err == nil {
		err = c.SetReadBuffer(contest.DatagramBuffer)
	}
	return c, err
}

// EchoDatagrams sends back what comes until c is closed.
func EchoDatagrams(c *net.UDPConn) error {
	buf := make([]byte, contest.BlockSize)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		if _, err := c.WriteToUDPAddrPort(buf[:n], from); err != nil {
			return err
		}
	}
}
