package server_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
)

// The address at which a client arrived is its own, though those of the same may share it.
func TestAServerOfAllAddressesKnowsAtWhichOneAClientArrived(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, "0.0.0.0:0", nil)
		port := a.Addrs()[0].(*net.TCPAddr).Port
		for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.2", "127.0.0.1"} {
			at := net.JoinHostPort(host, strconv.Itoa(port))
			before := 0
			looptest.Do(l, func() { before = len(a.Got) })
			c, err := net.Dial("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			looptest.WaitFor(t, l, "the client", func() bool { return len(a.Got) > before })
			looptest.Do(l, func() {
				tr := a.Got[before].Transport()
				if got := transport.SockName(tr).String(); got != at {
					t.Errorf("arrived at %s, not %s", got, at)
				}
				if got := transport.PeerName(tr).String(); got != c.LocalAddr().String() {
					t.Errorf("from %s, not %s", got, c.LocalAddr())
				}
			})
		}
	})
}
