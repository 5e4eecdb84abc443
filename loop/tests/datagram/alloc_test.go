package datagram_test

import (
	"net"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// reflector sends datagrams back.
type reflector struct {
	protocol.DatagramBase
	t transport.DatagramTransport
}

func (p *reflector) ConnectionMade(t transport.DatagramTransport) { p.t = t }

func (p *reflector) DatagramReceived(data []byte, from transport.Addr) { p.t.SendTo(data, from) }

// rawUDP is a blocking socket that is connected to an endpoint.
func rawUDP(t *testing.T, to net.Addr) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	addr := to.(*net.UDPAddr).AddrPort()
	sa := &syscall.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	if err := syscall.Connect(fd, sa); err != nil {
		t.Fatal(err)
	}
	// A datagram that is lost is an error and no hang.
	timeout := syscall.NsecToTimeval(looptest.WaitTimeout.Nanoseconds())
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO,
		&timeout); err != nil {
		t.Fatal(err)
	}
	return fd
}

// volley sends n datagrams and receives them back.
func volley(t *testing.T, fd, n int, message, reply []byte) {
	for range n {
		if _, err := syscall.Write(fd, message); err != nil {
			t.Fatal(err)
		}
	}
	for range n {
		if k, err := readAgain(fd, reply); k != len(message) {
			t.Fatal("read", k, err)
		}
	}
}

// readAgain is read(2) that a signal does not end, as it would with a timeout.
func readAgain(fd int, b []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

func TestNoAllocationForADatagram(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	if debug.On {
		t.Skip("needs a build without the race detector, which allocates")
	}
	for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
		t.Run(engine.String(), func(t *testing.T) {
			l := rig.KernelLoop(t, engine)
			p := &reflector{}
			if _, err := l.CreateDatagramEndpoint(t.Context(), p, &rig.AnyPort); err != nil {
				t.Fatal(err)
			}
			fd := rawUDP(t, transport.SockName(p.t))
			for _, size := range []int{1, 512, 60_000} {
				for _, n := range []int{1, 3} {
					message, reply := make([]byte, size), make([]byte, 1<<16)
					allocs := testing.AllocsPerRun(200, func() { volley(t, fd, n, message, reply) })
					if allocs != 0 {
						t.Errorf("%v allocations for %d datagrams of %d bytes", allocs, n, size)
					}
				}
			}
		})
	}
}

// returner sends back what it was given in batches of groupOf.
type returner struct {
	reflector
	bytes []byte
	batch []transport.Datagram
}

const groupOf = 30

func (p *returner) DatagramReceived(data []byte, from transport.Addr) {
	p.bytes = append(p.bytes, data...)
	own := p.bytes[len(p.bytes)-len(data):]
	p.batch = append(p.batch, transport.Datagram{Data: own, Addr: from})
	if len(p.batch) == groupOf {
		_, _ = p.t.(transport.BatchSender).SendBatch(p.batch)
		p.batch, p.bytes = p.batch[:0], p.bytes[:0]
	}
}

func TestNoAllocationForAGroupOfDatagrams(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	if debug.On {
		t.Skip("needs a build without the race detector, which allocates")
	}
	for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
		t.Run(engine.String(), func(t *testing.T) {
			l := rig.KernelLoop(t, engine)
			p := &returner{}
			o := loop.DatagramOptions{LocalAddr: "127.0.0.1:0", GSO: true, GRO: true, RecvErr: true}
			if _, err := l.CreateDatagramEndpoint(t.Context(), p, &o); err != nil {
				t.Fatal(err)
			}
			fd := rawUDP(t, transport.SockName(p.t))
			// UDP_SEGMENT: what is written is many datagrams.
			if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_UDP, 103, 500); err != nil {
				t.Skipf("needs UDP_SEGMENT (Linux 4.18): %v", err)
			}
			message, reply := make([]byte, groupOf*500), make([]byte, 1<<16)
			allocs := testing.AllocsPerRun(200, func() {
				if _, err := syscall.Write(fd, message); err != nil {
					t.Fatal(err)
				}
				for range groupOf {
					if k, err := readAgain(fd, reply); k != 500 {
						t.Fatal("read", k, err)
					}
				}
			})
			if allocs != 0 {
				t.Errorf("%v allocations for %d datagrams", allocs, groupOf)
			}
		})
	}
}

// Many small datagrams at once come back, and the kernel's own count says that
// whatever is missing was dropped by it.
func TestLargeBatchesLoseNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
		t.Run(engine.String(), func(t *testing.T) {
			l := rig.KernelLoop(t, engine)
			p := &reflector{}
			o := &loop.DatagramOptions{LocalAddr: "127.0.0.1:0", ReceiveBuffer: 1 << 20}
			if _, err := l.CreateDatagramEndpoint(t.Context(), p, o); err != nil {
				t.Fatal(err)
			}
			fd := rawUDP(t, transport.SockName(p.t))
			for range 200 {
				volley(t, fd, 100, make([]byte, 64), make([]byte, 100))
			}
		})
	}
}
