package tls_test

import (
	"crypto/tls"
	"io"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
)

// crypto/tls makes a reader of 24 bytes whenever it has to read: here once in the
// client and once in the server, which knows when there is no more.
const allocatedByCryptoTLS = 2

func TestNoAllocationOfOursForATLSMessage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	if debug.On {
		t.Skip("needs a build without the race detector, which allocates")
	}
	versions(t, func(t *testing.T, l *loop.Loop, version uint16) {
		s, err := l.CreateServer(t.Context(), func() protocol.Protocol { return &rig.Mirror{} },
			"127.0.0.1:0", &loop.ServerOptions{TLS: &loop.TLSOptions{Config: rig.ServerTLS()}})
		if err != nil {
			t.Fatal(err)
		}
		config := rig.ClientTLS()
		config.MaxVersion = version
		conn, err := tls.Dial("tcp", s.Addrs()[0].String(), config)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{64, 1000, 12 << 10} {
			message := make([]byte, size)
			// AllocsPerRun counts the whole process, the client too.
			allocs := testing.AllocsPerRun(200, func() {
				_, err := conn.Write(message)
				if err == nil {
					_, err = io.ReadFull(conn, message)
				}
				if err != nil {
					t.Fatal(err)
				}
			})
			if allocs > allocatedByCryptoTLS {
				t.Errorf("%v allocations for a message of %d bytes", allocs, size)
			}
		}
		conn.Close()
		s.Close()
		if err := s.WaitClosed(rig.WithTimeout(t)); err != nil {
			t.Error(err)
		}
	})
}
