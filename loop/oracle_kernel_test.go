package loop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/oracletest"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/uring"
)

// kernelTimeout is how long a condition may take to come true.
const kernelTimeout = 10 * time.Second

// idleTurns is how many turns without an event mean that all is quiet. What a
// peer does over loopback can be polled when its system call returns.
const idleTurns = 16

// kernelEnv is a loop on the kernel's sockets.
type kernelEnv struct {
	loopEnv
	listeners []int // for the subject to connect to
}

func newKernelEnv(t *testing.T, engine Engine) *kernelEnv {
	t.Helper()
	l, err := New(quietly(engine))
	if err != nil {
		t.Fatal(err)
	}
	return &kernelEnv{loopEnv: loopEnv{loop: l}}
}

func (e *kernelEnv) start() { e.run() }

// Can implements oracletest.Env.
func (e *kernelEnv) Can(need string) bool {
	return need != "arrival-order" || e.loop.Engine() != Uring || ringKeepsOrder()
}

// ringKeepsOrder reports whether receives on two sockets complete in the order in
// which their data came. Linux 6.1 goes through the work that has gathered for a ring
// (IORING_SETUP_DEFER_TASKRUN) from its end, later kernels from its beginning:
// __io_run_local_work in io_uring/io_uring.c.
var ringKeepsOrder = sync.OnceValue(func() bool {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ring, err := uring.New(8, nil)
	if err != nil {
		return false
	}
	defer ring.Close()
	var ends [2][2]int
	for i := range ends {
		ends[i], err = syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err != nil {
			return false
		}
		defer closeFD(ends[i][0])
		defer closeFD(ends[i][1])
		sqe := ring.SQE()
		sqe.PrepRecv(ends[i][0], make([]byte, 1), 0)
		sqe.SetUserData(uint64(i))
	}
	if _, err := ring.Submit(); err != nil {
		return false
	}
	for _, end := range ends {
		_, err = syscall.Write(end[1], []byte("x"))
		if err != nil {
			return false
		}
	}
	_, err = ring.SubmitAndWait(2, kernelTimeout)
	first := uint64(1)
	for c := range ring.CQEs() {
		first = c.UserData
		break
	}
	return err == nil && first == 0
})

func (e *kernelEnv) end() error {
	for _, fd := range e.listeners {
		closeFD(fd)
	}
	return e.stop()
}

// closeFD closes what a test made; there is nobody to tell of an error.
func closeFD(fd int) { _ = syscall.Close(fd) }

func (e *kernelEnv) Do(f func()) {
	done := make(chan struct{})
	e.loop.CallSoonThreadsafe(func() {
		defer close(done)
		f()
	})
	select {
	case <-done:
	case <-e.loop.dead:
	}
}

func (e *kernelEnv) Settle() error {
	for range idleTurns {
		e.Do(func() {})
	}
	return nil
}

func (e *kernelEnv) Until(cond func() bool) error {
	for begin := time.Now(); time.Since(begin) < kernelTimeout; {
		held := false
		e.Do(func() { held = cond() })
		if held {
			return nil
		}
	}
	return oracletest.ErrQuiet
}

func (e *kernelEnv) CallSoonThreadsafe(f func()) { e.loop.CallSoonThreadsafe(f) }

func (e *kernelEnv) Pair() (oracletest.Socket, oracletest.Peer, error) {
	const kind = syscall.SOCK_STREAM | syscall.SOCK_NONBLOCK | syscall.SOCK_CLOEXEC
	fds, err := syscall.Socketpair(syscall.AF_UNIX, kind, 0)
	if err != nil {
		return nil, nil, err
	}
	near := func() (*os.File, error) { return os.NewFile(uintptr(fds[0]), "pair"), nil }
	return pairSocket{e.loop, near}, &kernelPeer{fd: fds[1]}, nil
}

// pairSocket is one end of a pair.
type pairSocket struct {
	loop *Loop
	file func() (*os.File, error)
}

func (s pairSocket) Attach(p protocol.Protocol, done func(error)) {
	f, err := s.file()
	if err != nil {
		done(err)
		return
	}
	s.loop.CreateConnectionFunc(context.Background(), p, "", &ConnectionOptions{Sock: f},
		func(_ transport.Transport, err error) { done(err) })
}

func (e *kernelEnv) Serve(factory protocol.Factory, deferred bool) (oracletest.Server, error) {
	s, err := newServer(e, e.loop, factory, deferred)
	if err != nil {
		return nil, err
	}
	port := s.Addrs()[0].(*net.TCPAddr).Port
	return serverUnderTest{s, func() (oracletest.Peer, error) { return dialKernelPeer(port) }}, nil
}

// Connect binds a port also where the connection is to be refused: nobody else
// can listen there then.
func (e *kernelEnv) Connect(p protocol.Protocol, refused bool, done func(error)) (
	func() (oracletest.Peer, error), error,
) {
	fd, port, err := bindLoopback()
	if err != nil {
		return nil, err
	}
	e.listeners = append(e.listeners, fd)
	if !refused {
		if err := syscall.Listen(fd, 1); err != nil {
			return nil, err
		}
	}
	e.loop.CreateConnectionFunc(context.Background(), p, fmt.Sprintf("127.0.0.1:%d", port), nil,
		func(_ transport.Transport, err error) { done(err) })
	return func() (oracletest.Peer, error) {
		conn, _, err := syscall.Accept4(fd, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return nil, err
		}
		return &kernelPeer{fd: conn}, nil
	}, nil
}

// bindLoopback returns a non-blocking socket with a port of its own.
func bindLoopback() (fd, port int, err error) {
	fd, err = tcpSocket(syscall.SOCK_NONBLOCK)
	if err != nil {
		return -1, 0, err
	}
	err = syscall.Bind(fd, loopbackPort(0))
	var name syscall.Sockaddr
	if err == nil {
		name, err = syscall.Getsockname(fd)
	}
	if err != nil {
		closeFD(fd)
		return -1, 0, err
	}
	return fd, name.(*syscall.SockaddrInet4).Port, nil
}

func tcpSocket(flags int) (int, error) {
	return syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|flags, 0)
}

func loopbackPort(port int) *syscall.SockaddrInet4 {
	return &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
}

// kernelPeer is a raw socket.
type kernelPeer struct {
	fd     int
	closed bool
}

// dialKernelPeer connects while it blocks, which over loopback takes no time.
func dialKernelPeer(port int) (oracletest.Peer, error) {
	fd, err := tcpSocket(0)
	if err != nil {
		return nil, err
	}
	err = syscall.Connect(fd, loopbackPort(port))
	if err == nil {
		err = syscall.SetNonblock(fd, true)
	}
	if err != nil {
		closeFD(fd)
		return nil, err
	}
	return &kernelPeer{fd: fd}, nil
}

func (p *kernelPeer) Send(b []byte) (int, error) {
	n, err := syscall.SendmsgN(p.fd, b, nil, nil, syscall.MSG_NOSIGNAL)
	if err == syscall.EAGAIN {
		return 0, nil
	}
	return max(n, 0), err
}

func (p *kernelPeer) Recv(b []byte) (int, error) {
	n, err := syscall.Read(p.fd, b)
	switch {
	case err == syscall.EAGAIN:
		return 0, oracletest.ErrWouldBlock
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func (p *kernelPeer) Pending() (string, error) {
	n, _, err := syscall.Recvfrom(p.fd, make([]byte, 1), syscall.MSG_PEEK)
	switch {
	case err == syscall.EAGAIN:
		return "empty", nil
	case err != nil:
		return "", err
	case n == 0:
		return "eof", nil
	}
	return "data", nil
}

func (p *kernelPeer) CloseWrite() error { return syscall.Shutdown(p.fd, syscall.SHUT_WR) }

func (p *kernelPeer) Close() error {
	if p.closed {
		return nil
	}
	p.closed = true
	return syscall.Close(p.fd)
}

func (p *kernelPeer) Reset() error {
	err := syscall.SetsockoptLinger(p.fd, syscall.SOL_SOCKET, syscall.SO_LINGER,
		&syscall.Linger{Onoff: 1})
	return errors.Join(err, p.Close())
}
