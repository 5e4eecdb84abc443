package loop_test

import (
	"context"
	"os"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// mirror sends back what it receives.
type mirror struct {
	protocol.Base
	t transport.Transport
}

func (m *mirror) ConnectionMade(t transport.Transport) { m.t = t }
func (m *mirror) DataReceived(data []byte)             { m.t.Write(data) }

// bufferedMirror does so from memory of its own.
type bufferedMirror struct {
	protocol.Base
	t   transport.Transport
	buf []byte
}

func (m *bufferedMirror) ConnectionMade(t transport.Transport) { m.t = t }
func (m *bufferedMirror) GetBuffer(int) []byte                 { return m.buf }
func (m *bufferedMirror) BufferUpdated(n int)                  { m.t.Write(m.buf[:n]) }

// ends returns the descriptor of one end of a pair whose other end p has.
func ends(t *testing.T, l *loop.Loop, p protocol.Protocol) int {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fds[0]) })
	opts := &loop.ConnectionOptions{Sock: os.NewFile(uintptr(fds[1]), "pair")}
	if _, err := l.CreateConnection(context.Background(), p, "", opts); err != nil {
		t.Fatal(err)
	}
	return fds[0]
}

// roundTrip sends a message and receives it back.
func roundTrip(t *testing.T, fd int, message, reply []byte) {
	if _, err := syscall.Write(fd, message); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(message); {
		k, err := syscall.Read(fd, reply)
		if err != nil || k == 0 {
			t.Fatal("read", k, err)
		}
		n += k
	}
}

func TestNoAllocationForAMessage(t *testing.T) {
	if debug.On {
		t.Skip("needs a build without the race detector, which allocates")
	}
	protocols := map[string]func(l *loop.Loop) protocol.Protocol{
		"Protocol": func(*loop.Loop) protocol.Protocol { return &mirror{} },
		"BufferedProtocol": func(*loop.Loop) protocol.Protocol {
			return protocol.Buffered(&bufferedMirror{buf: make([]byte, 64<<10)})
		},
		"BufferedProtocol in registered memory": func(l *loop.Loop) protocol.Protocol {
			var buf []byte
			looptest.Do(l, func() { buf = l.AllocBuffer(64 << 10) })
			return protocol.Buffered(&bufferedMirror{buf: buf})
		},
	}
	for name, newProtocol := range protocols {
		t.Run(name, func(t *testing.T) {
			for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
				t.Run(engine.String(), func(t *testing.T) {
					l := kernelLoop(t, engine)
					messages(t, ends(t, l, newProtocol(l)))
				})
			}
		})
	}
}

func messages(t *testing.T, fd int) {
	for _, size := range []int{64, 16 << 10, 100 << 10} {
		message, reply := make([]byte, size), make([]byte, size)
		// AllocsPerRun counts the whole process, the loop's goroutine too.
		allocs := testing.AllocsPerRun(200, func() { roundTrip(t, fd, message, reply) })
		if allocs != 0 {
			t.Errorf("%v allocations for a message of %d bytes", allocs, size)
		}
	}
}

// kernelLoop runs a loop on an engine of the machine until the test ends.
func kernelLoop(t *testing.T, engine loop.Engine) *loop.Loop {
	t.Helper()
	l, err := loop.New(&loop.Options{Engine: engine})
	if err != nil {
		t.Skipf("needs %v: %v", engine, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.RunForever() }()
	t.Cleanup(func() {
		if err := l.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return l
}
