package schedule_test

import (
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// A transport that is kept after Close of its loop knows that it is closed: the number of
// its descriptor may be another's, and its engine is gone.
func TestATransportWhoseLoopIsClosedTouchesNothing(t *testing.T) {
	type opened func(*testing.T, *loop.Loop) []transport.BaseTransport
	connected := func(connect func(*testing.T, *loop.Loop, protocol.Protocol,
		protocol.Protocol)) opened {
		return func(t *testing.T, l *loop.Loop) []transport.BaseTransport {
			a, b := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
			connect(t, l, a, b)
			return []transport.BaseTransport{a.Transport(), b.Transport()}
		}
	}
	kinds := map[string]opened{
		"TCP":  connected(rig.ConnectTCP),
		"Unix": connected(rig.ConnectUnix),
		"TLS":  connected(rig.ConnectTLS),
		"pipe": connected(rig.ConnectPipe),
		"messages": connected(func(t *testing.T, l *loop.Loop, a, b protocol.Protocol) {
			rig.ConnectUnixAs(t, l, a, b, "unixpacket")
		}),
		"datagrams": func(t *testing.T, l *loop.Loop) []transport.BaseTransport {
			tr, err := l.CreateDatagramEndpoint(rig.WithTimeout(t), &datagrams{},
				&loop.DatagramOptions{LocalAddr: "127.0.0.1:0", RemoteAddr: "127.0.0.1:9"})
			if err != nil {
				t.Fatal(err)
			}
			return []transport.BaseTransport{tr}
		},
	}
	for name, open := range kinds {
		t.Run(name, func(t *testing.T) {
			rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
				kept := open(t, l)
				others := pairsInsteadOf(t, func() { rig.CloseRunning(t, l) })
				for _, tr := range kept {
					useClosed(t, tr)
				}
				for _, other := range others {
					if n, err := syscall.Read(other, make([]byte, 10)); err != syscall.EAGAIN {
						t.Errorf("another's socket got %d bytes, %v", n, err)
					}
				}
			})
		})
	}
}

type datagrams struct{ protocol.DatagramBase }

func (*datagrams) DatagramReceived([]byte, transport.Addr) {}

// useClosed calls all that writes or looks at the descriptor.
func useClosed(t *testing.T, tr transport.BaseTransport) {
	if !tr.IsClosing() || tr.Protocol() != nil {
		t.Errorf("%v: closing %v, with the protocol %v", tr, tr.IsClosing(), tr.Protocol())
	}
	if c, ok := transport.Socket(tr); ok {
		if err := c.Control(func(fd uintptr) { t.Error("gave away the number", fd) }); err == nil {
			t.Error("Control of a closed descriptor without an error")
		}
	}
	if w, ok := tr.(transport.WriteTransport); ok {
		if _, err := w.Write(make([]byte, 200<<10)); err == nil {
			t.Errorf("%v: Write without an error", tr)
		}
		if err := w.WriteLines([][]byte{{1}, {2}}); err == nil {
			t.Errorf("%v: WriteLines without an error", tr)
		}
		_ = w.WriteEOF()
		w.Abort()
	}
	if d, ok := tr.(transport.DatagramTransport); ok {
		if err := d.SendTo([]byte("x"), transport.Addr{}); err == nil {
			t.Errorf("%v: SendTo without an error", tr)
		}
		d.Abort()
	}
	if r, ok := tr.(transport.ReadTransport); ok {
		r.PauseReading()
		r.ResumeReading()
	}
	if err := tr.SetProtocol(transporttest.NewRecorder(t)); err == nil {
		t.Errorf("%v: SetProtocol without an error", tr)
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
}

// pairsInsteadOf calls free, then opens socket pairs that get the numbers of what free has
// closed. It returns the other ends, which do not block.
func pairsInsteadOf(t *testing.T, free func()) (others []int) {
	free()
	for range 8 {
		fds, err := syscall.Socketpair(syscall.AF_UNIX,
			syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			syscall.Close(fds[0])
			syscall.Close(fds[1])
		})
		others = append(others, fds[1])
	}
	return others
}
