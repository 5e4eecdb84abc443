package proactortest

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

var loadTests = []test{
	{name: "EchoOnAThousandConnections", run: echoThousand},
	{name: "EchoDoesNotAllocate", run: echoAllocs},
	{name: "RecvDoesNotAllocate", run: recvAllocs},
	{name: "DatagramsDoNotAllocate", run: datagramAllocs},
	{name: "CancelDoesNotAllocate", run: cancelAllocs},
}

// echo answers what its connection receives, from inside Complete.
type echo struct {
	r          *rig
	recv, send proactor.Op
	buf        [64]byte
	stop       bool
	count      int
}

func (r *rig) echo(fd int) *echo {
	e := &echo{r: r}
	e.recv = proactor.Op{Code: proactor.RecvAny, FD: fd, Handler: e}
	e.send = proactor.Op{Code: proactor.Send, FD: fd, Handler: e}
	return e
}

func (e *echo) Complete(op *proactor.Op) {
	if op == &e.send || op.Res <= 0 || e.stop {
		return
	}
	e.count++
	e.send.Buf = e.buf[:copy(e.buf[:], op.Data)]
	if !e.send.InFlight() {
		e.r.Submit(&e.send)
	}
}

// end ends the echo, so that its connection can be closed.
func (e *echo) end() {
	e.r.Helper()
	e.stop = true
	e.r.Cancel(&e.recv)
	e.r.Cancel(&e.send)
	e.r.until("the echo has ended", func() bool {
		return !e.recv.InFlight() && !e.send.InFlight()
	})
}

func echoThousand(r *rig) {
	const n, rounds = 1000, 5
	clients, servers := r.pairs(proactor.IPv4, n)
	var all []*echo
	for i := range n {
		client, server := r.echo(clients[i]), r.echo(servers[i])
		r.Submit(&client.recv)
		r.Submit(&server.recv)
		client.send.Buf = append(client.buf[:0], byte(i), byte(i>>8))
		r.Submit(&client.send)
		all = append(all, client, server)
	}
	r.until("all have had their rounds", func() bool {
		for _, e := range all {
			if e.count < rounds {
				return false
			}
		}
		return true
	})
	for _, e := range all {
		e.stop = true
	}
	r.settle()
	for i, e := range all {
		e.end()
		if e.buf[0] != byte(i/2) || e.buf[1] != byte(i/2>>8) {
			r.Fatalf("connection %d has the bytes of another", i/2)
		}
	}
}

// noAllocs demands that f, which makes turns, does not allocate.
func (r *rig) noAllocs(f func()) {
	r.Helper()
	for range 200 {
		f()
	}
	if n := testing.AllocsPerRun(500, f); n != 0 {
		r.Errorf("%v allocations", n)
	}
}

func echoAllocs(r *rig) {
	client, server := r.pair(proactor.IPv4)
	a, b := r.echo(client), r.echo(server)
	r.Submit(&a.recv)
	r.Submit(&b.recv)
	a.send.Buf = append(a.buf[:0], "ping"...)
	r.Submit(&a.send)
	r.noAllocs(func() {
		for want := a.count + 1; a.count < want; {
			r.turn(waitTimeout)
		}
	})
	a.end()
	b.end()
}

func recvAllocs(r *rig) {
	client, server := r.pair(proactor.IPv4)
	recv, send := r.probe(proactor.Recv, server), r.probe(proactor.SendMsg, client)
	recv.quiet, send.quiet = true, true
	recv.op.Buf = make([]byte, 64)
	send.op.Bufs = [][]byte{[]byte("scatter"), []byte("gather")}
	r.noAllocs(func() {
		recv.submit()
		send.submit()
		for recv.op.InFlight() || send.op.InFlight() {
			r.turn(waitTimeout)
		}
	})
}

func datagramAllocs(r *rig) {
	to, toAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	from, _ := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	recv, send := r.probe(proactor.RecvMsg, to), r.probe(proactor.SendMsg, from)
	recv.quiet, send.quiet = true, true
	count := 0
	recv.then = func(*probe) { count++ }
	recv.submit()
	send.about.Addr = toAddr
	send.op.Bufs = [][]byte{[]byte("datagram")}
	r.noAllocs(func() {
		send.submit()
		for want := count + 1; count < want || send.op.InFlight(); {
			r.turn(waitTimeout)
		}
	})
}

func cancelAllocs(r *rig) {
	_, server := r.pair(proactor.IPv4)
	recv := r.probe(proactor.RecvAny, server)
	recv.quiet = true
	r.noAllocs(func() {
		recv.submit()
		r.turn(0)
		r.Cancel(&recv.op)
		for recv.op.InFlight() {
			r.turn(waitTimeout)
		}
	})
}
