//go:build linux

package uring_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/sluice-net/sluice/uring"
	"golang.org/x/sys/unix"
)

// A connect and a send, linked: the send waits for the connection, and both take one
// system call.
func ExampleSockaddr() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	addr := listener.Addr().(*net.TCPAddr).AddrPort()

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ring, err := uring.New(8, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Close()
	if err := connectAndSend(ring, addr, []byte("hello")); err != nil {
		log.Fatal(err)
	}

	conn, err := listener.Accept()
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	text, err := io.ReadAll(conn)
	fmt.Printf("%s %v\n", text, err)
	// Output: hello <nil>
}

func connectAndSend(ring *uring.Ring, addr netip.AddrPort, data []byte) error {
	var to uring.Sockaddr
	if err := to.SetAddrPort(addr); err != nil {
		return err
	}
	fd, err := unix.Socket(int(to.Raw.Addr.Family), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)

	connect := ring.SQE()
	connect.PrepConnect(fd, ring.StageAddr(to.Bytes()), to.Len)
	connect.SetFlags(uring.IOLink)
	ring.SQE().PrepSend(fd, data, unix.MSG_NOSIGNAL)
	if _, err := ring.SubmitAndWait(2, time.Second); err != nil {
		return err
	}
	for c := range ring.CQEs() {
		if c.Res < 0 {
			err = errors.Join(err, c.Errno())
		}
	}
	return err
}
