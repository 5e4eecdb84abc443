package docs

import (
	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/subprocess"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// Which types implement which interfaces. Nothing of this file runs: that it compiles is
// the test. The names themselves are in api.txt.

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

	_ protocol.Protocol     = (*transporttest.Recorder)(nil)
	_ transport.Transport   = (*transporttest.Transport)(nil)
	_ transport.OwnedWriter = (*transporttest.Transport)(nil)
	_ subprocess.Loop       = (*loop.Loop)(nil)
)
