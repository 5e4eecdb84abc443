package proactortest

import (
	"bytes"
	"errors"
	"strings"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

var streamTests = []test{
	{name: "ConnectAndAcceptIPv4", run: func(r *rig) { connectAccept(r, proactor.IPv4) }},
	{name: "ConnectAndAcceptIPv6", run: func(r *rig) { connectAccept(r, proactor.IPv6) }},
	{name: "ConnectAndAcceptUnix", run: func(r *rig) { connectAccept(r, proactor.Unix) }},
	{name: "AcceptGoesOn", run: acceptGoesOn},
	{name: "StopListeningEndsAccept", run: stopListening},
	{name: "ConnectRefused", run: connectRefused},
	{name: "BindInUse", run: bindInUse},
	{name: "RecvOnce", run: recvOnce},
	{name: "RecvEOF", run: recvEOF},
	{name: "RecvReset", run: recvReset},
	{name: "RecvAnyInOrder", run: recvAnyInOrder,
		cfg: proactor.Config{BufferSize: 4096, BuffersMin: 4, BuffersMax: 4}},
	{name: "RecvAnyEOF", run: recvAnyEOF},
	{name: "RecvAnyReset", run: recvAnyReset},
	{name: "RecvAnyDataBeforeEOF", run: recvAnyDataBeforeEOF},
	{name: "RecvAnyUnconnectedFails", run: recvAnyUnconnected},
	{name: "HalfClosedConnectionStillSends", run: halfClosed},
	{name: "FewBuffersManyConnections", run: fewBuffers,
		cfg: proactor.Config{BufferSize: 4096, BuffersMin: 2, BuffersMax: 2}},
	{name: "BuffersGrow", run: fewBuffers,
		cfg: proactor.Config{BufferSize: 4096, BuffersMin: 1, BuffersMax: 64}},
	{name: "IdleConnectionsDoNotSpin", run: idleDoesNotSpin},
}

func connectAccept(r *rig, family proactor.Family) {
	client, server := r.pair(family)
	clientAddr, err := r.LocalAddr(client)
	r.must(err)
	peer, err := r.RemoteAddr(server)
	r.must(err)
	if clientAddr != peer {
		r.Errorf("the client is %v and %v to the server", clientAddr, peer)
	}
	serverAddr, err := r.LocalAddr(server)
	r.must(err)
	if peer, err = r.RemoteAddr(client); err != nil || peer != serverAddr || peer.IsZero() {
		r.Errorf("the server is %v and %v to the client, %v", serverAddr, peer, err)
	}
	recv := r.probe(proactor.RecvAny, server).submit()
	r.send(client, []byte("hello")).want(5)
	r.same(recv.receive(5), []byte("hello"))
}

func acceptGoesOn(r *rig) {
	const n = 100
	listener, addr := r.listen(proactor.IPv4)
	var connects []*probe
	for range n / 2 {
		connects = append(connects, r.connect(proactor.IPv4, addr))
	}
	for _, c := range connects {
		c.want(0) // these wait in the queue
	}
	accept := r.accept(listener)
	for range n / 2 {
		r.connect(proactor.IPv4, addr)
	}
	r.until("all are accepted", func() bool { return len(accept.got) >= n })
	for _, got := range accept.got {
		if !got.more || got.res < 0 {
			r.Fatalf("accept: %+v", got)
		}
	}
}

func stopListening(r *rig) {
	listener, addr := r.listen(proactor.IPv4)
	accept := r.accept(listener)
	r.settle()
	r.must(r.StopListening(listener))
	if got := accept.done(); got.res >= 0 {
		r.Errorf("accept: %+v", got)
	}
	r.connect(proactor.IPv4, addr).wantErrno(syscall.ECONNREFUSED)
}

func connectRefused(r *rig) {
	listener, addr := r.listen(proactor.IPv4)
	r.closeFD(listener)
	r.connect(proactor.IPv4, addr).wantErrno(syscall.ECONNREFUSED)
	unix := addrs[proactor.Unix]
	unix.Path += "-nobody"
	r.connect(proactor.Unix, unix).wantErrno(syscall.ECONNREFUSED)
	unix.Path = "/" + strings.Repeat("x", 200)
	if p := r.connect(proactor.Unix, unix); p.done().res >= 0 {
		r.Error("connected to a path that is too long")
	}
}

func bindInUse(r *rig) {
	_, addr := r.listen(proactor.IPv4)
	err := r.Bind(r.socket(proactor.IPv4, proactor.Stream), addr)
	if !errors.Is(err, syscall.EADDRINUSE) {
		r.Errorf("Bind: %v", err)
	}
}

func recvOnce(r *rig) {
	client, server := r.pair(proactor.IPv4)
	recv := r.probe(proactor.Recv, server)
	recv.op.Buf = make([]byte, 4)
	recv.submit()
	r.settle()
	if len(recv.got) > 0 {
		r.Fatalf("received out of nothing: %+v", recv.got)
	}
	r.send(client, []byte("abcdef")).want(6)
	recv.want(4)
	r.same(recv.op.Buf, []byte("abcd"))
	recv.submit().want(2)
	r.same(recv.op.Buf[:2], []byte("ef"))
}

func recvEOF(r *rig) {
	client, server := r.pair(proactor.IPv4)
	r.send(client, []byte("x")).want(1)
	r.must(r.ShutdownWrite(client))
	recv := r.probe(proactor.Recv, server)
	recv.op.Buf = make([]byte, 4)
	recv.submit().want(1)
	recv.submit().want(0)
	recv.submit().want(0) // it stays that way
}

// reset makes fd's peer see ECONNRESET.
func (r *rig) reset(fd int) {
	r.Helper()
	r.must(r.SetOption(fd, proactor.LingerReset, 1))
	r.closeFD(fd)
}

func recvReset(r *rig) {
	client, server := r.pair(proactor.IPv4)
	recv := r.probe(proactor.Recv, server)
	recv.op.Buf = make([]byte, 4)
	recv.submit()
	r.settle()
	r.reset(client)
	recv.wantErrno(syscall.ECONNRESET)
}

func recvAnyInOrder(r *rig) {
	client, server := r.pair(proactor.IPv4)
	recv := r.probe(proactor.RecvAny, server).submit()
	want := pattern(1 << 20)
	send := r.send(client, want)
	got := recv.receive(len(want))
	r.same(got, want)
	send.want(len(want))
	for _, g := range recv.got {
		if !g.more || g.res <= 0 || int(g.res) > r.cfg.BufferSize {
			r.Fatalf("RecvAny: %+v", g)
		}
	}
}

func recvAnyEOF(r *rig) {
	client, server := r.pair(proactor.IPv4)
	recv := r.probe(proactor.RecvAny, server).submit()
	r.settle()
	r.closeFD(client)
	recv.want(0)
	if len(recv.got) != 1 || recv.last().more {
		r.Errorf("RecvAny at the end: %+v", recv.got)
	}
}

func recvAnyReset(r *rig) {
	client, server := r.pair(proactor.IPv4)
	recv := r.probe(proactor.RecvAny, server).submit()
	r.settle()
	r.reset(client)
	recv.wantErrno(syscall.ECONNRESET)
}

func recvAnyDataBeforeEOF(r *rig) {
	client, server := r.pair(proactor.IPv4)
	want := pattern(100 << 10)
	r.send(client, want).want(len(want))
	r.closeFD(client)
	recv := r.probe(proactor.RecvAny, server).submit()
	recv.want(0)
	r.same(recv.data, want)
}

func recvAnyUnconnected(r *rig) {
	fd := r.socket(proactor.IPv4, proactor.Stream)
	r.probe(proactor.RecvAny, fd).submit().wantErrno(syscall.ENOTCONN)
}

func halfClosed(r *rig) {
	client, server := r.pair(proactor.IPv4)
	r.must(r.ShutdownWrite(client))
	r.probe(proactor.RecvAny, server).submit().want(0)
	recv := r.probe(proactor.RecvAny, client).submit()
	r.send(server, []byte("still here")).want(10)
	r.same(recv.receive(10), []byte("still here"))
}

// fewBuffers has many connections receive at once with hardly any buffers:
// nothing may be lost, and the engine must not spin over it.
func fewBuffers(r *rig) {
	const n = 32
	clients, servers := r.pairs(proactor.IPv4, n)
	want := pattern(64 << 10)
	var recvs []*probe
	for i := range n {
		recvs = append(recvs, r.probe(proactor.RecvAny, servers[i]).submit())
	}
	r.settle()
	before := r.Stats()
	for i := range n {
		r.send(clients[i], want)
	}
	for i := range n {
		if got := recvs[i].receive(len(want)); !bytes.Equal(got, want) {
			r.Fatalf("connection %d received something else", i)
		}
	}
	calls := r.Stats().Syscalls - before.Syscalls
	chunks := uint64(0)
	for _, recv := range recvs {
		chunks += uint64(len(recv.got))
	}
	if calls > 20*chunks+1000 {
		r.Errorf("%d system calls for %d chunks", calls, chunks)
	}
	for i := range n {
		r.closeFD(clients[i])
	}
	for i, recv := range recvs {
		if got := recv.done(); got.res != 0 {
			r.Fatalf("connection %d: %+v", i, got)
		}
	}
}

func idleDoesNotSpin(r *rig) {
	clients, servers := r.pairs(proactor.IPv4, 8)
	for i := range servers {
		r.probe(proactor.RecvAny, servers[i]).submit()
		ended := r.probe(proactor.RecvAny, clients[i]).submit()
		r.settle()
		r.Cancel(&ended.op)
		ended.wantErrno(syscall.ECANCELED)
		r.send(servers[i], []byte("nobody reads this")).want(17)
	}
	r.settle()
	before, start := r.Stats(), r.Now()
	for r.Now()-start < waitTimeout/200 {
		r.turn(waitTimeout / 200)
	}
	if n := r.Stats().Syscalls - before.Syscalls; n > 20 {
		r.Errorf("%d system calls while nothing happened", n)
	}
}
