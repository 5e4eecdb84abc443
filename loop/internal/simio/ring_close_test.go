package simio_test

import (
	"net/netip"
	"runtime"
	"testing"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/simio"
	"github.com/sluice-net/sluice/transport"
)

// nobody is told of connections and closes them.
type nobody struct{ e proactor.Proactor }

func (n nobody) Complete(op *proactor.Op) {
	if op.More {
		_ = n.e.CloseFD(int(op.Res)) // a leak would be seen
	}
}

// Whoever accepts knows of a connection only when it is told; what was accepted and not
// told of is the engine's to close.
func TestCloseOfTheEngineLeavesNoConnectionThatNobodyKnows(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m := simio.NewMachine(simio.Options{Seed: 1})
	e := drive(t, m, proactor.Config{})
	must(t, e.Start())
	fd, err := e.Socket(proactor.IPv4, proactor.Stream)
	must(t, err)
	must(t, e.Bind(fd, transport.Addr{AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}))
	must(t, e.Listen(fd, 200))
	addr, err := e.LocalAddr(fd)
	must(t, err)
	e.Submit(&proactor.Op{Code: proactor.Accept, FD: fd, Handler: nobody{e}})
	for range 3 {
		must(t, e.Wait(0))
	}
	for range 200 { // more than the engine delivers in a turn
		_, err := m.DialNow(addr)
		must(t, err)
	}
	must(t, e.Wait(0))
	must(t, e.Close())
	must(t, m.CloseFD(fd))
	for _, leak := range m.Leaks() {
		t.Error("left open:", leak)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
