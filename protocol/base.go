package protocol

import "github.com/sluice-net/sluice/transport"

// base is the no-op form of transport.BaseProtocol.
type base struct{}

// ConnectionLost does nothing.
func (base) ConnectionLost(error) {}

// PauseWriting does nothing.
func (base) PauseWriting() {}

// ResumeWriting does nothing.
func (base) ResumeWriting() {}

// Base is for embedding in a Protocol or BufferedProtocol. It has every callback
// except those that receive data, so that forgetting DataReceived is a compile
// error instead of a silent loss of data. Its EOFReceived returns false: the
// transport closes when the peer is done.
type Base struct{ base }

// ConnectionMade does nothing.
func (Base) ConnectionMade(transport.Transport) {}

// EOFReceived returns false.
func (Base) EOFReceived() (keepOpen bool) { return false }

// DatagramBase is for embedding in a DatagramProtocol. It has every callback except
// DatagramReceived.
type DatagramBase struct{ base }

// ConnectionMade does nothing.
func (DatagramBase) ConnectionMade(transport.DatagramTransport) {}

// ErrorReceived does nothing.
func (DatagramBase) ErrorReceived(error) {}

// SubprocessBase is for embedding in a SubprocessProtocol. It has every callback
// except PipeDataReceived.
type SubprocessBase struct{ base }

// ConnectionMade does nothing.
func (SubprocessBase) ConnectionMade(transport.SubprocessTransport) {}

// PipeConnectionLost does nothing.
func (SubprocessBase) PipeConnectionLost(int, error) {}

// ProcessExited does nothing.
func (SubprocessBase) ProcessExited() {}
