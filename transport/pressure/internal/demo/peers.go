package demo

import (
	"context"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// Peers plays the other ends until ctx ends.
func Peers(ctx context.Context, where Addresses) error {
	var group sync.WaitGroup
	var conns []io.Closer
	defer group.Wait()
	defer func() { closeAll(conns...) }()
	for _, name := range Scenes {
		dialer := net.Dialer{}
		if name == SlowPeer {
			dialer.Control = smallReceiveBuffer
		}
		conn, err := dialer.DialContext(ctx, "tcp", where[name].String())
		if err != nil {
			return err
		}
		conns = append(conns, conn)
		if play := peers[name]; play != nil {
			group.Go(func() { play(ctx, conn) })
		}
	}
	<-ctx.Done()
	return nil
}

func smallReceiveBuffer(_, _ string, raw syscall.RawConn) error {
	var set error
	err := raw.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10)
	})
	if err != nil {
		return err
	}
	return set
}

// peers say what each peer does; one that is not here does nothing.
var peers = map[string]func(context.Context, net.Conn){
	PausedReader: func(ctx context.Context, c net.Conn) { flood(c) },
	StarvedRing:  func(ctx context.Context, c net.Conn) { flood(c) },
	SmallSndBuf:  func(ctx context.Context, c net.Conn) { io.Copy(io.Discard, c) },
	BusyLoop: func(ctx context.Context, c net.Conn) {
		talk(ctx, c, 4<<10, 10*time.Millisecond, false)
	},
	Echo: func(ctx context.Context, c net.Conn) {
		talk(ctx, c, 64, 20*time.Millisecond, true)
	},
}

// flood writes until the connection is closed.
func flood(c net.Conn) {
	for {
		if _, err := c.Write(chunk); err != nil {
			return
		}
	}
}

// talk writes a message at each tick, and reads as much back if that is echoed.
func talk(ctx context.Context, c net.Conn, size int, every time.Duration, echoed bool) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	message := make([]byte, size)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if _, err := c.Write(message); err != nil {
			return
		}
		if !echoed {
			continue
		}
		if _, err := io.ReadFull(c, message); err != nil {
			return
		}
	}
}
