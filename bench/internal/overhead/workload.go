package overhead

import (
	"errors"
	"net"
	"time"

	"github.com/sluice-net/sluice/uring"
	"golang.org/x/sys/unix"
)

// workload has a function that starts it and returns one that does n operations.
// What is promised is about operations on sockets: of a request that does nothing,
// tracing is a large part.
type workload struct {
	name     string
	promised bool
	start    func() (run func(n int), end func(), err error)
}

var workloads = []workload{
	{"write+read", true, startWriteRead},
	{"ring send+recv", true, startRing},
	{"8 nops", false, startNops},
}

const messageSize = 512

func startWriteRead() (func(int), func(), error) {
	a, z, end, err := connection()
	if err != nil {
		return nil, nil, err
	}
	buf := make([]byte, messageSize)
	return func(n int) {
		for range n {
			retry(func() (int, error) { return unix.Write(a, buf) })
			retry(func() (int, error) { return unix.Read(z, buf) })
		}
	}, end, nil
}

func startRing() (func(int), func(), error) {
	a, z, end, err := connection()
	if err != nil {
		return nil, nil, err
	}
	ring, err := uring.New(16, nil)
	if err != nil {
		end()
		return nil, nil, err
	}
	buf := make([]byte, messageSize)
	return func(n int) {
		for range n {
			ring.SQE().PrepSend(a, buf, 0)
			ring.SQE().PrepRecv(z, buf, 0)
			submit(ring, 2)
		}
	}, func() { ring.Close(); end() }, nil
}

func startNops() (func(int), func(), error) {
	ring, err := uring.New(16, nil)
	if err != nil {
		return nil, nil, err
	}
	return func(n int) {
		for range n {
			for range 8 {
				ring.SQE().PrepNop()
			}
			submit(ring, 8)
		}
	}, func() { ring.Close() }, nil
}

// submit hands over n requests and takes their completions.
func submit(ring *uring.Ring, n int) {
	for ring.Ready() < n {
		if _, err := ring.SubmitAndWait(uint32(n), -1); err != nil {
			panic(err)
		}
	}
	ring.Advance(n)
}

// retry repeats a call that a signal interrupts.
func retry(call func() (int, error)) {
	for {
		_, err := call()
		if err == nil {
			return
		}
		if !errors.Is(err, unix.EINTR) {
			panic(err)
		}
	}
}

// connection returns the descriptors of both ends of a TCP connection.
func connection() (a, z int, end func(), err error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, 0, nil, err
	}
	defer listener.Close()
	dialed, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		return 0, 0, nil, err
	}
	defer dialed.Close()
	accepted, err := listener.Accept()
	if err != nil {
		return 0, 0, nil, err
	}
	defer accepted.Close()
	first, err := dialed.(*net.TCPConn).File()
	if err != nil {
		return 0, 0, nil, err
	}
	second, err := accepted.(*net.TCPConn).File()
	if err != nil {
		first.Close()
		return 0, 0, nil, err
	}
	// Fd makes them blocking.
	return int(first.Fd()), int(second.Fd()), func() { first.Close(); second.Close() }, nil
}

// cpuOf is the CPU time that the thread takes for n operations.
func cpuOf(run func(int), n int) time.Duration {
	begun := threadCPU()
	run(n)
	return threadCPU() - begun
}

func threadCPU() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		panic(err)
	}
	return time.Duration(now.Nano())
}
