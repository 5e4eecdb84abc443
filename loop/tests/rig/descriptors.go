package rig

import (
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// SocketPair is a connected pair: a file and the peer's net.Conn.
func SocketPair(t *testing.T, kind int) (f *os.File, peer net.Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, kind|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	other := os.NewFile(uintptr(fds[1]), "peer")
	defer other.Close()
	peer, err = net.FileConn(other)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	return os.NewFile(uintptr(fds[0]), "socket"), peer
}

// FDReceiver is a Recorder that takes descriptors.
type FDReceiver struct {
	*transporttest.Recorder
	Files     []*os.File // what was received
	At        []int      // bytes received before each
	FilesLost bool       // FDsReceived said that some were lost
	OnFiles   func()     // called in FDsReceived, or nil
}

// NewFDReceiver makes one, whose files are closed at the end of the test.
func NewFDReceiver(t *testing.T) *FDReceiver {
	p := &FDReceiver{Recorder: transporttest.NewRecorder(t)}
	t.Cleanup(func() {
		for _, f := range p.Files {
			f.Close()
		}
	})
	return p
}

// FDsReceived implements protocol.FDReceiver.
func (p *FDReceiver) FDsReceived(files []*os.File, lost bool) {
	for _, f := range files {
		p.Files = append(p.Files, f)
		p.At = append(p.At, p.Received())
	}
	p.FilesLost = p.FilesLost || lost
	if p.OnFiles != nil {
		p.OnFiles()
	}
}

// FDPair connects a sender to a taker over a Unix socket.
func FDPair(t *testing.T, l *loop.Loop) (from transport.FDWriter, to *FDReceiver) {
	t.Helper()
	client := transporttest.NewRecorder(t)
	to = NewFDReceiver(t)
	ConnectUnix(t, l, to, client)
	AbortAtEnd(t, l, client, to.Recorder)
	return client.Transport().(transport.FDWriter), to
}

// Control calls f with the descriptor of a transport.
func Control(t *testing.T, l *loop.Loop, tr transport.BaseTransport, f func(fd int) error) {
	t.Helper()
	looptest.Do(l, func() {
		raw, ok := transport.Socket(tr)
		if !ok {
			t.Error("no socket")
			return
		}
		err := raw.Control(func(fd uintptr) {
			if err := f(int(fd)); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Error(err)
		}
	})
}
