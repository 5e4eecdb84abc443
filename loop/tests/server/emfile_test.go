package server_test

import (
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
)

func TestS249_OutOfDescriptorsIsSurvivedWithinASecondAndAHalf(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
		t.Run(engine.String(), func(t *testing.T) { exhaust(t, rig.KernelLoop(t, engine)) })
	}
}

// exhaust lets a server have its listener and its spare descriptor and no more,
// before it arms its accept: io_uring reads the limit then.
func exhaust(t *testing.T, l *loop.Loop) {
	var reports, accepted atomic.Int32
	l.SetExceptionHandler(func(loop.Exception) { reports.Add(1) })
	looptest.Do(l, func() {}) // it runs, with all the descriptors that it wants
	warmUp(t)
	client, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	limit := lowerLimit(t, thirdFree(t))
	s, err := l.CreateServer(t.Context(), func() protocol.Protocol {
		accepted.Add(1)
		return &rig.Mirror{}
	}, "127.0.0.1:0", nil)
	if err == nil {
		connectTo(t, client, s)
		n, err := syscall.Read(client, make([]byte, 1))
		if n != 0 && err != syscall.ECONNRESET {
			t.Errorf("a client without a descriptor for it: %d, %v", n, err)
		}
	}
	setLimit(t, &limit)
	syscall.Close(client)
	if err != nil {
		t.Fatal(err)
	}
	defer s.AbortClients()
	since := time.Now()
	stalled := watchStalls()
	for accepted.Load() == 0 && time.Since(since) < looptest.WaitTimeout {
		tryEcho(t, s.Addrs()[0].String())
	}
	took, others := time.Since(since), stalled()
	if accepted.Load() == 0 || took > 1500*time.Millisecond+2*others {
		t.Errorf("the server recovered after %v, in which the process was stalled for %v",
			took, others)
	}
	if reports.Load() != 1 {
		t.Errorf("%d reports of one outage", reports.Load())
	}
}

// watchStalls measures until it is told to stop how long the machine let the process wait
// that wants to run each millisecond.
func watchStalls() (stop func() time.Duration) {
	done, sum := make(chan struct{}), make(chan time.Duration)
	go func() {
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		const usual = 10 * time.Millisecond
		stalls, last := time.Duration(0), time.Now()
		for ended := false; !ended; {
			select {
			case <-done:
				ended = true
			case <-ticker.C:
			}
			now := time.Now()
			if gap := now.Sub(last); gap > usual {
				stalls += gap
			}
			last = now
		}
		sum <- stalls
	}()
	return func() time.Duration {
		close(done)
		return <-sum
	}
}

// warmUp has the runtime open what it opens once.
func warmUp(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
}

// lowerLimit sets the limit of descriptors to n and returns the old one.
func lowerLimit(t *testing.T, n int) (old syscall.Rlimit) {
	t.Helper()
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	low := old
	low.Cur = uint64(n)
	setLimit(t, &low)
	return old
}

// thirdFree is the number of the third descriptor that would be given out: with
// it as the limit there are two.
func thirdFree(t *testing.T) int {
	t.Helper()
	var fds [3]int
	for i := range fds {
		fd, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(fd)
		fds[i] = fd
	}
	return fds[2]
}

func setLimit(t *testing.T, limit *syscall.Rlimit) {
	t.Helper()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, limit); err != nil {
		t.Fatal(err)
	}
}

// connectTo connects a raw socket.
func connectTo(t *testing.T, fd int, s *loop.Server) {
	t.Helper()
	addr := s.Addrs()[0].(*net.TCPAddr)
	to := &syscall.SockaddrInet4{Port: addr.Port, Addr: [4]byte{127, 0, 0, 1}}
	if err := syscall.Connect(fd, to); err != nil {
		t.Fatal(err)
	}
}

// tryEcho tries once to be served.
func tryEcho(t *testing.T, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := c.Write([]byte("x")); err == nil {
		c.Read(make([]byte, 1))
	}
}
