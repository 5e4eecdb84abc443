package stream_test

import (
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/exacttest"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// successor receives into memory that it has from its predecessor, which it makes use of as
// soon as it is asked for it.
type successor struct {
	protocol.Base
	memory []byte
	size   int
	got    []byte
}

func (h *successor) GetBuffer(int) []byte {
	exacttest.Spoil(h.memory)
	return h.memory[:h.size]
}

func (h *successor) BufferUpdated(n int) { h.got = append(h.got, h.memory[:n]...) }

// From the successor's first GetBuffer on, the slice in which bytes for it had arrived
// is its predecessor's again, who may have given it to the successor.
func TestASuccessorMayReceiveIntoTheMemoryOfItsPredecessor(t *testing.T) {
	for _, size := range []int{100, 7} {
		looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
			server, client := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
			memory := make([]byte, 100)
			server.On.Get = func(int) []byte { return memory }
			rig.ConnectTCP(t, l, server.Buffered(1), client)
			rig.AbortAtEnd(t, l, server, client)
			looptest.Turns(l, 3) // the receive is under way
			tr := transport.Transport(nil)
			looptest.Do(l, func() {
				tr = server.Transport()
				tr.PauseReading()
				client.Transport().Write(exacttest.Bytes(60, 1, 0))
			})
			looptest.Pass(t, l, 10*time.Millisecond) // it has arrived, and is held back
			h := &successor{memory: memory, size: size}
			looptest.Do(l, func() {
				if err := tr.SetProtocol(protocol.Buffered(h)); err != nil {
					t.Error(err)
				}
				tr.ResumeReading()
			})
			looptest.WaitFor(t, l, "what was sent", func() bool { return len(h.got) >= 60 })
			looptest.Do(l, func() {
				if err := exacttest.Check(h.got, 1, 0); err != nil || len(h.got) != 60 {
					t.Errorf("%d bytes received: %v", len(h.got), err)
				}
				tr.SetProtocol(server) // for the end of the test
			})
		})
	}
}
