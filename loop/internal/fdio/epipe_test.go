package fdio

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
)

// goneRig is an engine whose sockets are in a state and say EPIPE to each attempt to send.
type goneRig struct {
	lendRig
	state int
}

func (r *goneRig) Engine() proactor.Proactor                             { return r }
func (r *goneRig) TrySend(int, [][]byte) (int, error)                    { return 0, syscall.EPIPE }
func (r *goneRig) GetOption(int, proactor.Option) (value int, err error) { return r.state, nil }

// The receive in flight has taken the socket's error by then, and is about to say so.
func TestAWriteBeforeTheReceiveTellsOfAResetIsAReset(t *testing.T) {
	const established = 1
	for _, c := range []struct {
		name  string
		state int
		eof   bool
		want  syscall.Errno
	}{
		{"reset", proactor.TCPClosed, false, syscall.ECONNRESET},
		{"reset after its end", proactor.TCPClosed, true, syscall.EPIPE},
		{"something else", established, false, syscall.EPIPE},
	} {
		r := &goneRig{state: c.state}
		r.t = t
		s := NewStream(r, Config{FD: 3, Owner: r, Protocol: protocol.Protocol(&pass{}),
			Local: &net.TCPAddr{}, Peer: &net.TCPAddr{}})
		s.Start()
		s.eof = c.eof
		s.Write(make([]byte, 1<<20)) // beyond the high mark, so it is offered at once
		if err := s.Err(); s.State() != Lost || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", c.name, s.State(), err)
		}
	}
}
