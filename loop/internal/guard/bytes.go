package guard

import (
	"os"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// The callbacks of protocol.Protocol and protocol.BufferedProtocol.
var (
	dataReceived  = Fatal("DataReceived", "data_received")
	getBuffer     = Fatal("GetBuffer", "get_buffer")
	bufferUpdated = Fatal("BufferUpdated", "buffer_updated")
	eofReceived   = Fatal("EOFReceived", "eof_received")
	fdsReceived   = Fatal("FDsReceived", "fds_received")
)

// CheckProtocol returns an error if p cannot be the protocol of a byte stream. Errors:
// transport.ErrNilProtocol, transport.ErrProtocolKind.
func CheckProtocol(p transport.BaseProtocol) error {
	if p == nil {
		return transport.ErrNilProtocol
	}
	if _, ok := p.(protocol.Protocol); ok {
		return nil
	}
	if _, ok := protocol.AsBuffered(p); ok {
		return nil
	}
	return transport.ErrProtocolKind
}

// Adopt makes p, of a kind that CheckProtocol takes, the protocol.
func (g *Guard) Adopt(p transport.BaseProtocol) {
	g.proto = p
	g.plain, _ = p.(protocol.Protocol)
	g.buffered, _ = protocol.AsBuffered(p)
}

// Buffered reports whether the protocol receives into memory of its own.
func (g *Guard) Buffered() bool { return g.buffered != nil }

// FDReceiver returns the protocol if it takes descriptors that come with bytes.
func (g *Guard) FDReceiver() (protocol.FDReceiver, bool) {
	var p any = g.proto
	if g.buffered != nil {
		p = g.buffered
	}
	r, ok := p.(protocol.FDReceiver)
	return r, ok
}

// ConnectionMade calls the protocol's ConnectionMade with t, which is the guard's
// transport. It returns the error of a panic, which has been reported; the caller decides
// what happens to the transport.
func (g *Guard) ConnectionMade(t transport.Transport) (err error) {
	defer g.LeaveWith(g.Enter(ConnectionMade), &err)
	if g.buffered != nil {
		g.buffered.ConnectionMade(t)
		return nil
	}
	g.plain.ConnectionMade(t)
	return nil
}

// DataReceived calls the DataReceived of the protocol, which is not a buffered one.
func (g *Guard) DataReceived(data []byte) {
	defer g.Leave(g.Enter(dataReceived))
	g.plain.DataReceived(data)
}

// GetBuffer calls the GetBuffer of the protocol, which is a buffered one.
func (g *Guard) GetBuffer(hint int) []byte {
	defer g.Leave(g.Enter(getBuffer))
	return g.buffered.GetBuffer(hint)
}

// BufferUpdated calls the BufferUpdated of the protocol, which is a buffered one.
func (g *Guard) BufferUpdated(n int) {
	defer g.Leave(g.Enter(bufferUpdated))
	g.buffered.BufferUpdated(n)
}

// EOFReceived calls the protocol's EOFReceived.
func (g *Guard) EOFReceived() (keepOpen bool) {
	defer g.Leave(g.Enter(eofReceived))
	if g.buffered != nil {
		return g.buffered.EOFReceived()
	}
	return g.plain.EOFReceived()
}

// FDsReceived calls the FDsReceived of r, which FDReceiver has returned.
func (g *Guard) FDsReceived(r protocol.FDReceiver, files []*os.File, lost bool) {
	defer g.Leave(g.Enter(fdsReceived))
	r.FDsReceived(files, lost)
}
