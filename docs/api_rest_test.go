package docs

import (
	"crypto/tls"
	"iter"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
	"github.com/sluice-net/sluice/uring"
)

type (
	base     = transport.BaseTransport
	limits   = transport.Limits
	flow     = *transport.FlowControl
	buffered = protocol.BufferedProtocol
	inMemory = *transporttest.Transport
	ring     = *uring.Ring
	cqe      = *uring.CQE
	sqe      = *uring.SQE
)

var (
	_ func(base) net.Addr                          = transport.PeerName
	_ func(base) net.Addr                          = transport.SockName
	_ func(base) (tls.ConnectionState, bool)       = transport.TLSState
	_ func(base) (syscall.RawConn, bool)           = transport.Socket
	_ func(base) (transport.Credentials, bool)     = transport.PeerCred
	_ func(flow, int) transport.Change             = flow.Grew
	_ func(flow, int) transport.Change             = flow.Shrank
	_ func(flow) limits                            = flow.Limits
	_ func(flow, limits) (transport.Change, error) = flow.SetLimits

	_ func(buffered) protocol.Protocol                     = protocol.Buffered
	_ func(transport.BaseProtocol) (buffered, bool)        = protocol.AsBuffered
	_ func(buffered, []byte) (int, error)                  = protocol.Feed
	_ protocol.Factory                                     = func() (p protocol.Protocol) { return }
	_ func(testing.TB, looptest.Options) *looptest.Network = looptest.New
	_ func(*testing.T, func(*testing.T, *loop.Loop))       = looptest.Engines
	_ protocol.Protocol                                    = (*transporttest.Recorder)(nil)
	_ func(testing.TB) *transporttest.Recorder             = transporttest.NewRecorder
	_ transport.Transport                                  = inMemory(nil)
	_ transport.OwnedWriter                                = inMemory(nil)

	_ func(protocol.Protocol, *transporttest.Options) inMemory = transporttest.NewTransport

	_ func(*testing.T, transporttest.Connect, ...transporttest.Except) = transporttest.TestTransport
)

var _ = []any{
	transport.Addr{AddrPort: netip.AddrPort{}, Path: ""},
	transport.Datagram{Data: []byte{}, Addr: transport.Addr{}},
	limits{High: transport.DefaultLimits.High, Low: transport.DefaultLimits.Low},
	&protocol.PanicError{Callback: "", Value: any(nil), Stack: []byte{}},
	looptest.Options{Seed: 1, Faults: looptest.Faults{}, Loop: loop.Options{}},
	looptest.Network{Loop: (*loop.Loop)(nil)},
}

var (
	_ func(uint32, *uring.Options) (ring, error)           = uring.New
	_ func() uring.Features                                = uring.Probe
	_ func(ring) error                                     = ring.Close
	_ func(ring) sqe                                       = ring.SQE
	_ func(ring) (int, error)                              = ring.Submit
	_ func(ring, uint32, time.Duration) (int, error)       = ring.SubmitAndWait
	_ func(ring) iter.Seq[uring.CQE]                       = ring.CQEs
	_ func(ring) cqe                                       = ring.Peek
	_ func(ring, int)                                      = ring.Advance
	_ func(ring, [][]byte) error                           = ring.RegisterBuffers
	_ func(ring, int) error                                = ring.RegisterFiles
	_ func(ring, uint16, int, int) (*uring.BufRing, error) = ring.RegisterBufRing
	_ func(cqe) syscall.Errno                              = cqe.Errno
	_ func(cqe) bool                                       = cqe.More
	_ func(cqe) uint16                                     = cqe.BufID
	_ func(cqe) bool                                       = cqe.HasBuffer
	_ func(cqe) bool                                       = cqe.SockNonEmpty
	_ func(cqe) bool                                       = cqe.Notif
)

// The operations, of which it matters that they are there: what they take is the
// system's.
var _ = []any{
	sqe.PrepRecv, sqe.PrepRecvMultishot, sqe.PrepReadFixed, sqe.PrepSend, sqe.PrepSendMsg,
	sqe.PrepSendZC, sqe.PrepAcceptMultishot, sqe.PrepConnect, sqe.PrepShutdown, sqe.PrepCancel,
	sqe.PrepPollAdd, sqe.PrepTimeout, sqe.PrepMsgRing, sqe.PrepSplice, sqe.PrepWaitid,
}
