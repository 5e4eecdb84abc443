package stream_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// bufferedMirror does so from memory of its own.
type bufferedMirror struct {
	protocol.Base
	t   transport.Transport
	buf []byte
}

func (m *bufferedMirror) ConnectionMade(t transport.Transport) { m.t = t }
func (m *bufferedMirror) GetBuffer(int) []byte                 { return m.buf }
func (m *bufferedMirror) BufferUpdated(n int)                  { m.t.Write(m.buf[:n]) }

func TestNoAllocationForAMessage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	if debug.On {
		t.Skip("needs a build without the race detector, which allocates")
	}
	protocols := map[string]func(l *loop.Loop) protocol.Protocol{
		"Protocol": func(*loop.Loop) protocol.Protocol { return &rig.Mirror{} },
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
					l := rig.KernelLoop(t, engine)
					rig.Messages(t, rig.Ends(t, l, newProtocol(l)))
				})
			}
		})
	}
}
