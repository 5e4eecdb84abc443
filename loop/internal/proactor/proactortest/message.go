package proactortest

import (
	"errors"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// Sequenced packets: connected Unix sockets that preserve message boundaries.
var messageTests = []test{
	{name: "MessagesStayApart", run: messagesStayApart},
	{name: "AnEmptyMessageIsLikeTheEnd", run: emptyMessage},
	{name: "TheEndOfMessages", run: endOfMessages},
	{name: "UnreadMessagesAreAReset", run: unreadMessages},
	{name: "AMessageBeyondTheSendBufferIsRefused", run: longMessage},
	{name: "AMessageWaitsForRoom", run: messageWaits},
}

// messagePair returns a connection of messages.
func (r *rig) messagePair() (client, server int) {
	r.Helper()
	listener := r.socket(proactor.Unix, proactor.SeqPacket)
	r.must(r.Bind(listener, addrs[proactor.Unix]))
	r.must(r.Listen(listener, 1))
	accept := r.accept(listener)
	connect := r.probe(proactor.Connect, r.socket(proactor.Unix, proactor.SeqPacket))
	connect.about.Addr = addrs[proactor.Unix]
	connect.submit().want(0)
	r.until("it is accepted", func() bool { return len(accept.got) > 0 })
	r.Cancel(&accept.op)
	accept.wantErrno(syscall.ECANCELED)
	r.closeFD(listener)
	return connect.op.FD, int(accept.got[0].res)
}

// end waits for what ends the messages, and returns its result.
func (p *probe) end() int32 {
	p.r.Helper()
	p.r.until("the end is there", func() bool {
		return len(p.got) > 0 && p.last().res <= 0
	})
	res := p.last().res
	if p.op.InFlight() {
		p.r.Cancel(&p.op)
	}
	p.r.until("the receive is over", func() bool { return !p.op.InFlight() })
	return res
}

func messagesStayApart(r *rig) {
	client, server := r.messagePair()
	family, kind, err := r.Describe(server)
	if family != proactor.Unix || kind != proactor.SeqPacket || err != nil {
		r.Errorf("Describe: %v, %v, %v", family, kind, err)
	}
	texts := []string{"a", string(pattern(5000)), "cc"}
	r.mustSend(client, batchOf(transport.Addr{}, texts...)...)
	recv := r.probe(proactor.RecvMsg, server).submit()
	recv.datagrams(len(texts))
	send := r.probe(proactor.SendMsg, client)
	send.op.Bufs = [][]byte{[]byte("dd"), []byte("dd")}
	send.submit().want(4)
	for i, got := range recv.datagrams(4) {
		if want := []int{1, 5000, 2, 4}[i]; int(got.res) != want {
			r.Errorf("message %d has %d bytes, want %d", i, got.res, want)
		}
	}
	r.same(recv.data, []byte(texts[0]+texts[1]+texts[2]+"dddd"))
}

func emptyMessage(r *rig) {
	client, server := r.messagePair()
	recv := r.probe(proactor.RecvMsg, server).submit()
	r.mustSend(client, proactor.Packet{})
	if res := recv.end(); res != 0 {
		r.Errorf("an empty message: %d", res)
	}
}

func endOfMessages(r *rig) {
	client, server := r.messagePair()
	recv := r.probe(proactor.RecvMsg, server).submit()
	r.mustSend(client, batchOf(transport.Addr{}, "last")...)
	recv.datagrams(1)
	r.must(r.ShutdownWrite(client))
	if res := recv.end(); res != 0 || string(recv.data) != "last" {
		r.Errorf("the end: %d, after %q", res, recv.data)
	}
	recv = r.probe(proactor.RecvMsg, client).submit()
	r.mustSend(server, batchOf(transport.Addr{}, "still open")...)
	recv.datagrams(1)
}

func unreadMessages(r *rig) {
	client, server := r.messagePair()
	r.mustSend(client, batchOf(transport.Addr{}, "unread")...)
	r.closeFD(server)
	recv := r.probe(proactor.RecvMsg, client).submit()
	if res := recv.end(); res != -int32(syscall.ECONNRESET) {
		r.Errorf("the peer has closed with a message unread: %d", res)
	}
}

func longMessage(r *rig) {
	client, server := r.messagePair()
	size, err := r.GetOption(client, proactor.SendBuffer)
	r.must(err)
	batch := batchOf(transport.Addr{}, "short", string(make([]byte, size)), "never sent")
	n, err := r.TrySendMany(client, batch)
	if n == 1 && err == nil { // sendmmsg(2) tells of the error in the next call
		n, err = r.TrySendMany(client, batch[1:])
		n++
	}
	if n != 1 || !errors.Is(err, syscall.EMSGSIZE) {
		r.Errorf("TrySendMany: %d, %v", n, err)
	}
	r.probe(proactor.RecvMsg, server).submit().datagrams(1)
}

func messageWaits(r *rig) {
	const size = 10_000
	client, server := r.messagePair()
	sent, batch := 0, batchOf(transport.Addr{}, string(pattern(size)))
	for {
		n, err := r.TrySendMany(client, batch)
		r.must(err)
		if n == 0 {
			break
		}
		sent++
	}
	send := r.probe(proactor.SendMsg, client)
	send.op.Bufs = [][]byte{[]byte("one more")}
	send.submit()
	r.settle()
	if !send.op.InFlight() {
		r.Fatalf("there was room after all: %+v", send.last())
	}
	recv := r.probe(proactor.RecvMsg, server).submit()
	send.want(len("one more"))
	r.until("all messages have come", func() bool { return len(recv.got) == sent+1 })
	if len(recv.data) != sent*size+len("one more") {
		r.Errorf("%d bytes in %d messages", len(recv.data), len(recv.got))
	}
}
