package docs

import (
	"io"
	"os"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Programs are written against the names and types of these files. Nothing of them
// runs: that they compile is the test. An interface is compared both ways, for a
// method more breaks those who implement it, and one less those who call it.

type (
	baseTransport interface {
		io.Closer
		IsClosing() bool
		ExtraInfo(name string) any
		SetProtocol(p transport.BaseProtocol) error
		Protocol() transport.BaseProtocol
	}
	baseProtocol interface {
		ConnectionLost(err error)
		PauseWriting()
		ResumeWriting()
	}
	readTransport interface {
		baseTransport
		IsReading() bool
		PauseReading()
		ResumeReading()
	}
	writeBuffer interface {
		Abort()
		WriteBufferSize() int
		WriteBufferLimits() transport.Limits
		SetWriteBufferLimits(transport.Limits) error
		WritePaused() bool
	}
	writeTransport interface {
		baseTransport
		io.Writer
		WriteLines(lines [][]byte) error
		WriteEOF() error
		CanWriteEOF() bool
		writeBuffer
	}
	streamTransport interface {
		readTransport
		writeTransport
	}
	datagramTransport interface {
		readTransport
		SendTo(data []byte, addr transport.Addr) error
		writeBuffer
	}
	subprocessTransport interface {
		baseTransport
		Pid() int
		PipeTransport(fd int) transport.BaseTransport
		ReturnCode() (code int, exited bool)
		SendSignal(sig os.Signal) error
		Terminate() error
		Kill() error
	}
	ownedWriter interface {
		WriteOwned(p []byte, release func()) error
	}
	fdWriter interface {
		WriteWithFDs(p []byte, files []*os.File) error
	}
	batchSender interface {
		SendBatch(batch []transport.Datagram) (n int, err error)
	}
)

type (
	plainProtocol interface {
		baseProtocol
		ConnectionMade(t transport.Transport)
		DataReceived(data []byte)
		EOFReceived() (keepOpen bool)
	}
	bufferedProtocol interface {
		baseProtocol
		ConnectionMade(t transport.Transport)
		GetBuffer(sizeHint int) []byte
		BufferUpdated(n int)
		EOFReceived() (keepOpen bool)
	}
	datagramProtocol interface {
		baseProtocol
		ConnectionMade(t transport.DatagramTransport)
		DatagramReceived(data []byte, addr transport.Addr)
		ErrorReceived(err error)
	}
	subprocessProtocol interface {
		baseProtocol
		ConnectionMade(t transport.SubprocessTransport)
		PipeDataReceived(fd int, data []byte)
		PipeConnectionLost(fd int, err error)
		ProcessExited()
	}
	fdReceiver interface {
		FDsReceived(files []*os.File, lost bool)
	}
)

var (
	_ baseTransport       = transport.BaseTransport(nil)
	_ readTransport       = transport.ReadTransport(nil)
	_ writeTransport      = transport.WriteTransport(nil)
	_ streamTransport     = transport.Transport(nil)
	_ datagramTransport   = transport.DatagramTransport(nil)
	_ subprocessTransport = transport.SubprocessTransport(nil)
	_ ownedWriter         = transport.OwnedWriter(nil)
	_ fdWriter            = transport.FDWriter(nil)
	_ batchSender         = transport.BatchSender(nil)
	_ baseProtocol        = transport.BaseProtocol(nil)
	_ plainProtocol       = protocol.Protocol(nil)
	_ bufferedProtocol    = protocol.BufferedProtocol(nil)
	_ datagramProtocol    = protocol.DatagramProtocol(nil)
	_ subprocessProtocol  = protocol.SubprocessProtocol(nil)
	_ fdReceiver          = protocol.FDReceiver(nil)

	_ transport.BaseTransport       = baseTransport(nil)
	_ transport.ReadTransport       = readTransport(nil)
	_ transport.WriteTransport      = writeTransport(nil)
	_ transport.Transport           = streamTransport(nil)
	_ transport.DatagramTransport   = datagramTransport(nil)
	_ transport.SubprocessTransport = subprocessTransport(nil)
	_ transport.OwnedWriter         = ownedWriter(nil)
	_ transport.FDWriter            = fdWriter(nil)
	_ transport.BatchSender         = batchSender(nil)
	_ transport.BaseProtocol        = baseProtocol(nil)
	_ protocol.Protocol             = plainProtocol(nil)
	_ protocol.BufferedProtocol     = bufferedProtocol(nil)
	_ protocol.DatagramProtocol     = datagramProtocol(nil)
	_ protocol.SubprocessProtocol   = subprocessProtocol(nil)
	_ protocol.FDReceiver           = fdReceiver(nil)
)

// The bases have all callbacks but those that receive.
type (
	onlyData struct{ protocol.Base }
	onlyGet  struct{ protocol.Base }
	onlyDG   struct{ protocol.DatagramBase }
	onlyPipe struct{ protocol.SubprocessBase }
)

func (onlyData) DataReceived([]byte)                   {}
func (onlyGet) GetBuffer(int) []byte                   { return nil }
func (onlyGet) BufferUpdated(int)                      {}
func (onlyDG) DatagramReceived([]byte, transport.Addr) {}
func (onlyPipe) PipeDataReceived(int, []byte)          {}

var (
	_ protocol.Protocol           = onlyData{}
	_ protocol.BufferedProtocol   = onlyGet{}
	_ protocol.DatagramProtocol   = onlyDG{}
	_ protocol.SubprocessProtocol = onlyPipe{}
)
