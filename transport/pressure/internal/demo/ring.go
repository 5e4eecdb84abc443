package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"github.com/sluice-net/sluice/uring"
)

const (
	starvedGroup   = 7
	starvedBuffers = 8
	starvedAgain   = 5 * time.Millisecond
)

// serveRing receives into buffers that it never gives back, and tries again.
func serveRing(ctx context.Context, where *places) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	defer listener.Close()
	if err := where.add(StarvedRing, listener.Addr().String()); err != nil {
		return err
	}
	conn, err := listener.Accept()
	if err != nil {
		return ignoreClosed(err)
	}
	// File makes a copy; the original is closed, so that there is one descriptor.
	file, err := conn.(*net.TCPConn).File()
	if err := errors.Join(err, conn.Close()); err != nil {
		return err
	}
	defer file.Close()
	return starve(ctx, file)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func starve(ctx context.Context, file *os.File) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ring, err := uring.New(8, nil)
	if err != nil {
		return err
	}
	defer ring.Close()
	buffers, err := ring.RegisterBufRing(starvedGroup, starvedBuffers, 1024)
	if err != nil {
		return err
	}
	for id := range uint16(starvedBuffers) {
		buffers.Add(id)
	}
	buffers.Advance()
	again := time.NewTicker(starvedAgain)
	defer again.Stop()
	for {
		ring.SQE().PrepRecvMultishot(int(file.Fd()), starvedGroup, 0)
		if err := receive(ctx, ring); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
}

// receive waits until the receive has ended, as it does once buffers are out.
func receive(ctx context.Context, ring *uring.Ring) error {
	for ctx.Err() == nil {
		_, err := ring.SubmitAndWait(1, 100*time.Millisecond)
		if err != nil && !errors.Is(err, uring.ErrTimeout) {
			return fmt.Errorf("receive: %w", err)
		}
		ended := false
		for cqe := range ring.CQEs() {
			ended = ended || !cqe.More()
		}
		if ended {
			return nil
		}
	}
	return nil
}
