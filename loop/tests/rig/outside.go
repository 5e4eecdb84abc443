package rig

import (
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/exacttest"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// OnKernelsWith is OnKernels with options for the loop.
func OnKernelsWith(t *testing.T, o loop.Options, f func(t *testing.T, l *loop.Loop)) {
	looptest.EnginesWith(t, o, func(t *testing.T, l *loop.Loop) {
		if l.Engine().String() == "sim" {
			t.Skip("needs descriptors of the kernel")
		}
		f(t, l)
	})
}

// OutsideConn is one connection of a crowd: the loop's end and that of package net.
type OutsideConn struct {
	*transporttest.Recorder
	Peer net.Conn
}

// OutsideConns connects n peers to a server on l, which is told of each connection before
// anything else, so that room can be made in its hooks. The peers are closed at the
// end of the test.
func OutsideConns(t *testing.T, l *loop.Loop, network string, n int) []OutsideConn {
	t.Helper()
	needDescriptors(t, 2*n+100)
	var a *Accepting
	if network == "unix" {
		a = ServeUnix(t, l, SocketPath(t), nil)
	} else {
		a = Serve(t, l, "", nil)
	}
	conns := make([]OutsideConn, n)
	for i := range conns {
		c, err := net.Dial(network, a.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if tcp, ok := c.(*net.TCPConn); ok { // or loopback takes megabytes
			if err := tcp.SetReadBuffer(256 << 10); err != nil {
				t.Fatal(err)
			}
		}
		conns[i].Peer = c
	}
	looptest.WaitFor(t, l, "the accepts", func() bool {
		return len(a.Got) == n && a.Got[n-1].Transport() != nil
	})
	looptest.Do(l, func() { matchPeers(t, conns, a.Got) })
	return conns
}

// matchPeers finds the loop's end of each connection. Unix sockets are accepted in the
// order of their connects. With TCP a connect is over when SYN-ACK has come, while the
// ACK that puts the connection into the queue may still wait on that processor.
func matchPeers(t *testing.T, conns []OutsideConn, accepted []*transporttest.Recorder) {
	t.Helper()
	of := map[string]*transporttest.Recorder{}
	for _, r := range accepted {
		of[transport.PeerName(r.Transport()).String()] = r
	}
	for i, g := range conns {
		conns[i].Recorder = accepted[i]
		if _, ok := g.Peer.(*net.TCPConn); !ok {
			continue
		}
		if r := of[g.Peer.LocalAddr().String()]; r != nil {
			conns[i].Recorder = r
		} else {
			t.Errorf("connection %d, from %v, was not accepted", i, g.Peer.LocalAddr())
		}
	}
}

// needDescriptors skips the test where the process may not have n open.
func needDescriptors(t *testing.T, n int) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < uint64(n) {
		t.Skipf("needs RLIMIT_NOFILE of %d, which is %d", n, limit.Cur)
	}
}

// SetOption sets an option of the socket level of a transport.
func SetOption(t *testing.T, tr transport.BaseTransport, option, value int) {
	t.Helper()
	raw, ok := transport.Socket(tr)
	if !ok {
		t.Error("no socket")
		return
	}
	err := raw.Control(func(fd uintptr) {
		err := syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, value)
		if err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// FillSocket writes zeros to the descriptor of a transport until the kernel takes no
// more, and returns how many it took.
func FillSocket(t *testing.T, tr transport.BaseTransport) (n int) {
	raw, ok := transport.Socket(tr)
	if !ok {
		t.Error("no socket")
		return 0
	}
	var page [4096]byte
	err := raw.Control(func(fd uintptr) {
		for size := len(page); size > 0; size /= 16 {
			for {
				k, err := syscall.Write(int(fd), page[:size])
				if err != nil {
					break
				}
				n += k
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
	return n
}

// ReadExactly reads size bytes of a stream's content from offset off on.
func ReadExactly(c net.Conn, size int, key, off uint64) error {
	c.SetReadDeadline(time.Now().Add(looptest.WaitTimeout))
	buf := make([]byte, min(size, 64<<10))
	for size > 0 {
		n, err := c.Read(buf[:min(size, len(buf))])
		if wrong := exacttest.Check(buf[:n], key, off); wrong != nil {
			return wrong
		}
		size, off = size-n, off+uint64(n)
		if err != nil {
			return err
		}
	}
	return nil
}

// ReadToEnd reads a stream's content up to its end, size bytes in all.
func ReadToEnd(c net.Conn, size int, key uint64) error {
	err := ReadExactly(c, size, key, 0)
	if err != nil {
		return err
	}
	if n, err := c.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		return fmt.Errorf("at the end %d more bytes, %v", n, err)
	}
	return nil
}

// Reset breaks the connection of a TCP peer.
func Reset(t *testing.T, c net.Conn) {
	if err := c.(*net.TCPConn).SetLinger(0); err != nil {
		t.Error(err)
	}
	c.Close()
}

// Discard reads n bytes, whatever they are.
func Discard(c net.Conn, n int) error {
	c.SetReadDeadline(time.Now().Add(looptest.WaitTimeout))
	_, err := io.CopyN(io.Discard, c, int64(n))
	return err
}
