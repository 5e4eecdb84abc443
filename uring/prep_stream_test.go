//go:build linux

package uring

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestRecvAndSend(t *testing.T) {
	r := newRing(t, 8, nil)
	a, b := pair(t, unix.SOCK_STREAM)
	buf := make([]byte, 16)
	s := sqe(t, r)
	s.PrepRecv(a, buf, 0)
	s.SetUserData(1)
	s = sqe(t, r)
	s.PrepSend(b, []byte("hello"), unix.MSG_NOSIGNAL)
	s.SetUserData(2)
	got := map[uint64]int32{}
	for range 2 {
		c := wait(t, r)
		got[c.UserData] = c.Res
	}
	if got[1] != 5 || got[2] != 5 || string(buf[:5]) != "hello" {
		t.Errorf("%v, %q", got, buf)
	}
}

func TestRecvAtEndOfStreamIsZero(t *testing.T) {
	r := newRing(t, 8, nil)
	a, b := pair(t, unix.SOCK_STREAM)
	s := sqe(t, r)
	s.PrepShutdown(b, unix.SHUT_WR)
	s.SetUserData(1)
	waitRes(t, r, 1, 0)
	s = sqe(t, r)
	s.PrepRecv(a, make([]byte, 8), 0)
	s.SetUserData(2)
	waitRes(t, r, 2, 0)
}

func TestSendToAClosedPeerIsEPIPE(t *testing.T) {
	r := newRing(t, 8, nil)
	a, b := pair(t, unix.SOCK_STREAM)
	if err := unix.Shutdown(b, unix.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	s := sqe(t, r)
	s.PrepSend(a, []byte("x"), unix.MSG_NOSIGNAL)
	c := wait(t, r)
	if c.Errno() != syscall.EPIPE {
		t.Error(c.Errno())
	}
}

func TestLazySendCompletesOnlyWhenItIsShort(t *testing.T) {
	needs(t, FeatureCQESkip)
	r := newRing(t, 8, nil)
	a, b := pair(t, unix.SOCK_STREAM)
	send := func(data []byte) {
		s := sqe(t, r)
		s.PrepSend(a, data, unix.MSG_DONTWAIT|unix.MSG_WAITALL|unix.MSG_NOSIGNAL)
		s.SetFlags(CQESkipSuccess)
		s.SetUserData(7)
	}
	send([]byte("ok"))
	quiet(t, r)
	if got := read(t, b); got != "ok" {
		t.Errorf("%q", got)
	}
	big := make([]byte, 8<<20)
	send(big)
	if _, err := r.EnterNB(); err != nil {
		t.Fatal(err)
	}
	c := wait(t, r)
	if c.UserData != 7 || c.Res <= 0 || int(c.Res) >= len(big) {
		t.Errorf("%+v, want a short send", c)
	}
	send(big)
	if c := wait(t, r); c.Errno() != syscall.EAGAIN {
		t.Errorf("%+v, want EAGAIN", c)
	}
}

func TestRecvMultishotGoesOnUntilTheBuffersAreGone(t *testing.T) {
	needs(t, FeatureRecvMultishot)
	r := newRing(t, 8, nil)
	br, err := r.RegisterBufRingWith(3, BufRingOptions{Count: 4, Size: 16, Start: 2})
	if err != nil {
		t.Fatal(err)
	}
	a, b := pair(t, unix.SOCK_STREAM)
	arm := func() {
		s := sqe(t, r)
		s.PrepRecvMultishot(a, 3, 0)
		s.SetUserData(9)
	}
	arm()
	for i := range 2 {
		write(t, b, fmt.Sprint("message ", i))
		c := waitRes(t, r, 9, 9)
		if !c.More() || !c.HasBuffer() || int(c.BufID()) != i {
			t.Fatalf("%+v", c)
		}
		if got := string(br.Buffer(c.BufID())[:c.Res]); got != fmt.Sprint("message ", i) {
			t.Errorf("%q", got)
		}
	}
	write(t, b, "starved")
	if c := wait(t, r); c.Errno() != syscall.ENOBUFS || c.More() || c.HasBuffer() {
		t.Fatalf("%+v, want ENOBUFS", c)
	}
	br.Add(1)
	br.Advance()
	arm()
	if c := waitRes(t, r, 9, 7); c.BufID() != 1 || string(br.Buffer(1)[:7]) != "starved" {
		t.Fatalf("%+v", c)
	}
	br.Add(0)
	br.Advance()
	if err := unix.Shutdown(b, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	c := wait(t, r)
	if c.Errno() == syscall.ENOBUFS { // old kernels do not wait for data to say so
		arm()
		c = wait(t, r)
	}
	if c.Res != 0 || c.More() {
		t.Errorf("%+v, want the stream's end", c)
	}
}

func TestRecvSelectTakesOneBuffer(t *testing.T) {
	needs(t, FeatureBufRing)
	r := newRing(t, 8, nil)
	br, err := r.RegisterBufRingWith(3, BufRingOptions{Count: 2, Size: 16, Start: 2})
	if err != nil {
		t.Fatal(err)
	}
	a, b := tcpPair(t)
	write(t, b, "0123456789")
	s := sqe(t, r)
	s.PrepRecvSelect(a, 3, 4, 0)
	c := waitRes(t, r, 0, 4)
	if !c.HasBuffer() || c.More() || !c.SockNonEmpty() {
		t.Errorf("%+v", c)
	}
	if got := string(br.Buffer(c.BufID())[:4]); got != "0123" {
		t.Errorf("%q", got)
	}
}

func TestAcceptMultishotGivesADescriptorEach(t *testing.T) {
	needs(t, FeatureAcceptMultishot)
	r := newRing(t, 8, nil)
	fd, name := listener(t)
	s := sqe(t, r)
	s.PrepAcceptMultishot(fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	s.SetUserData(1)
	if _, err := r.Submit(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		dial(t, name)
		c := wait(t, r)
		if c.Res < 0 || !c.More() {
			t.Fatalf("%+v (%v)", c, c.Errno())
		}
		unix.Close(int(c.Res))
	}
	s = sqe(t, r)
	s.PrepCancel(1, 0)
	s.SetUserData(2)
	got := map[uint64]CQE{}
	for range 2 {
		c := wait(t, r)
		got[c.UserData] = c
	}
	if c := got[1]; c.Errno() != syscall.ECANCELED || c.More() {
		t.Errorf("%+v", c)
	}
	if c := got[2]; c.Res != 0 {
		t.Errorf("%+v (%v)", c, c.Errno())
	}
}

func TestAcceptTellsThePeersAddress(t *testing.T) {
	r := newRing(t, 8, nil)
	fd, name := listener(t)
	peer := dial(t, name)
	want, err := unix.Getsockname(peer)
	if err != nil {
		t.Fatal(err)
	}
	var addr unix.RawSockaddrInet4
	size := uint32(unix.SizeofSockaddrInet4)
	sqe(t, r).PrepAccept(fd, unsafe.Pointer(&addr), &size, unix.SOCK_CLOEXEC)
	c := wait(t, r)
	if c.Res < 0 {
		t.Fatal(c.Errno())
	}
	unix.Close(int(c.Res))
	port := (*[2]byte)(unsafe.Pointer(&addr.Port))
	if got := int(port[0])<<8 | int(port[1]); got != want.(*unix.SockaddrInet4).Port {
		t.Errorf("port %d, want %d", got, want.(*unix.SockaddrInet4).Port)
	}
}

func rawInet4(a *unix.SockaddrInet4) *unix.RawSockaddrInet4 {
	raw := &unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: a.Addr}
	port := (*[2]byte)(unsafe.Pointer(&raw.Port))
	port[0], port[1] = byte(a.Port>>8), byte(a.Port)
	return raw
}

func TestSocketConnectSendClose(t *testing.T) {
	needs(t, FeatureDirectDescriptors)
	r := newRing(t, 8, nil)
	fd, name := listener(t)
	sqe(t, r).PrepSocket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0, 0)
	c := wait(t, r)
	if c.Res < 0 {
		t.Fatal(c.Errno())
	}
	sock := int(c.Res)
	sqe(t, r).PrepConnect(sock, unsafe.Pointer(rawInet4(name)), unix.SizeofSockaddrInet4)
	waitRes(t, r, 0, 0)
	sqe(t, r).PrepSend(sock, []byte("hi"), 0)
	waitRes(t, r, 0, 2)
	peer, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(peer)
	if got := read(t, peer); got != "hi" {
		t.Errorf("%q", got)
	}
	sqe(t, r).PrepClose(sock)
	waitRes(t, r, 0, 0)
	if got := read(t, peer); got != "" {
		t.Errorf("%q after close", got)
	}
}

func TestConnectRefused(t *testing.T) {
	r := newRing(t, 8, nil)
	fd, name := openListener(t)
	unix.Close(fd)
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(sock)
	sqe(t, r).PrepConnect(sock, unsafe.Pointer(rawInet4(name)), unix.SizeofSockaddrInet4)
	if c := wait(t, r); c.Errno() != syscall.ECONNREFUSED {
		t.Error(c.Errno())
	}
}

func TestSendZCNotifiesAfterItsResult(t *testing.T) {
	needs(t, FeatureSendZC)
	needs(t, FeatureReadFixed)
	r := newRing(t, 8, nil)
	b, a := tcpPair(t)
	data := bytes.Repeat([]byte("z"), 4096)
	if err := r.RegisterBuffers([][]byte{data}); err != nil {
		t.Fatal(err)
	}
	var msg unix.Msghdr
	var vec unix.Iovec
	vec.Base = &data[0]
	vec.SetLen(len(data))
	msg.Iov = &vec
	msg.SetIovlen(1)
	for i, prep := range []func(*SQE){
		func(s *SQE) { s.PrepSendZC(a, data, 0, SendZCReportUsage) },
		func(s *SQE) { s.PrepSendZCFixed(a, data, 0, SendZCReportUsage, 0) },
		func(s *SQE) { s.PrepSendMsgZC(a, &msg, 0); s.SetIoprio(SendZCReportUsage) },
	} {
		prep(sqe(t, r))
		c := waitRes(t, r, 0, 4096)
		if !c.More() || c.Notif() {
			t.Fatalf("%d: %+v", i, c)
		}
		if got := read(t, b); len(got) != 4096 {
			t.Fatal(len(got))
		}
		c = wait(t, r)
		if !c.Notif() || c.More() {
			t.Errorf("%d: %+v", i, c)
		}
		if !c.Copied() && kernelAtLeast(t, "6.2") {
			t.Errorf("%d: %+v: loopback copies", i, c)
		}
	}
}

func TestSendZCIsRefusedOnAUnixSocket(t *testing.T) {
	needs(t, FeatureSendZC)
	r := newRing(t, 8, nil)
	a, _ := pair(t, unix.SOCK_STREAM)
	sqe(t, r).PrepSendZC(a, []byte("x"), 0, 0)
	c := wait(t, r)
	if c.Errno() != syscall.EOPNOTSUPP {
		t.Errorf("%+v (%v)", c, c.Errno())
	}
	for c.More() {
		if c = wait(t, r); !c.Notif() {
			t.Errorf("%+v, want a notification", c)
		}
	}
}

func TestRecvMsgMultishotTakesDatagramsApart(t *testing.T) {
	needs(t, FeatureRecvMsgMultishot)
	r := newRing(t, 8, nil)
	br, err := r.RegisterBufRingWith(5, BufRingOptions{Count: 8, Size: 64, Start: 8})
	if err != nil {
		t.Fatal(err)
	}
	fd, name := datagramSocket(t)
	sender, from := datagramSocket(t)
	msg := &unix.Msghdr{Namelen: unix.SizeofSockaddrInet4}
	arm := func() {
		s := sqe(t, r)
		s.PrepRecvMsgMultishot(fd, msg, 5, unix.MSG_TRUNC)
		s.SetUserData(1)
	}
	arm()
	for _, payload := range []string{"datagram", "", string(make([]byte, 100))} {
		s := sqe(t, r)
		addr := rawInet4(name)
		s.PrepSendTo(sender, []byte(payload), 0, unsafe.Pointer(addr), unix.SizeofSockaddrInet4)
		s.SetFlags(CQESkipSuccess)
		s.SetUserData(2)
		c := wait(t, r)
		if c.UserData != 1 || c.Res < 0 || !c.HasBuffer() || !c.More() && payload != "" {
			t.Fatalf("%+v (%v)", c, c.Errno())
		}
		if !c.More() {
			arm() // an empty datagram ends it
		}
		var out RecvMsgOut
		if !out.Parse(br.Buffer(c.BufID())[:c.Res], msg) {
			t.Fatalf("cannot parse %d bytes", c.Res)
		}
		room := 64 - recvMsgHeader - unix.SizeofSockaddrInet4
		if out.Len != len(payload) || string(out.Payload) != payload[:min(len(payload), room)] {
			t.Errorf("%+v, want %d bytes", out, len(payload))
		}
		if cut := out.Flags&unix.MSG_TRUNC != 0; cut != (len(payload) > room) {
			t.Errorf("flags %#x", out.Flags)
		}
		want := unsafe.Slice((*byte)(unsafe.Pointer(rawInet4(from))), unix.SizeofSockaddrInet4)
		if !bytes.Equal(out.Name, want) {
			t.Errorf("from %v, want %v", out.Name, want)
		}
		br.Add(c.BufID())
		br.Advance()
	}
}

func datagramSocket(t testing.TB) (int, *unix.SockaddrInet4) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd, name.(*unix.SockaddrInet4)
}

// Buffers that come back must not run out, however often there was nothing to
// receive.
func TestMultishotReceiveLosesNoBuffers(t *testing.T) {
	needs(t, FeatureRecvMsgMultishot)
	for _, test := range []struct {
		name string
		prep func(s *SQE, fd int)
	}{
		{"recv", func(s *SQE, fd int) { s.PrepRecvMultishot(fd, 5, 0) }},
		{"recvmsg", func(s *SQE, fd int) { s.PrepRecvMsgMultishot(fd, &unix.Msghdr{}, 5, 0) }},
		{"recvmsg with names", func(s *SQE, fd int) {
			s.PrepRecvMsgMultishot(fd, &unix.Msghdr{Namelen: unix.SizeofSockaddrInet4}, 5, 0)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRing(t, 8, nil)
			br, err := r.RegisterBufRingWith(5, BufRingOptions{Count: 4, Size: 64, Start: 4})
			if err != nil {
				t.Fatal(err)
			}
			a, b := pair(t, unix.SOCK_DGRAM)
			arm := func() { test.prep(sqe(t, r), a) }
			arm()
			for i := range 20 {
				write(t, b, "message")
				c := wait(t, r)
				if c.Res < 0 || !c.More() {
					t.Fatalf("message %d: %+v (%v)", i, c, c.Errno())
				}
				br.Add(c.BufID())
				br.Advance()
			}
		})
	}
}

func TestRecvMsgAndSendMsgScatterAndGather(t *testing.T) {
	r := newRing(t, 8, nil)
	a, b := pair(t, unix.SOCK_STREAM)
	header := func(parts ...[]byte) *unix.Msghdr {
		vecs := make([]unix.Iovec, len(parts))
		for i, p := range parts {
			vecs[i].Base = &p[0]
			vecs[i].SetLen(len(p))
		}
		msg := &unix.Msghdr{Iov: &vecs[0]}
		msg.SetIovlen(len(vecs))
		return msg
	}
	sqe(t, r).PrepSendMsg(a, header([]byte("ab"), []byte("cdef")), unix.MSG_NOSIGNAL)
	waitRes(t, r, 0, 6)
	x, y := make([]byte, 5), make([]byte, 5)
	sqe(t, r).PrepRecvMsg(b, header(x, y), 0)
	waitRes(t, r, 0, 6)
	if string(x) != "abcde" || y[0] != 'f' {
		t.Errorf("%q %q", x, y)
	}
}

func TestSocketCommandsTellQueues(t *testing.T) {
	needs(t, FeatureSocketUnsent)
	r := newRing(t, 8, nil)
	b, a := tcpPair(t)
	write(t, a, "unread")
	s := sqe(t, r)
	s.PrepPollAdd(b, unix.POLLIN)
	waitRes(t, r, 0, unix.POLLIN)
	sqe(t, r).PrepSocketUnread(b)
	waitRes(t, r, 0, 6)
	sqe(t, r).PrepSocketUnsent(b)
	waitRes(t, r, 0, 0)
}

func TestBundleFillsManyBuffersAtOnce(t *testing.T) {
	needs(t, FeatureRecvBundle)
	r := newRing(t, 8, nil)
	if !r.HasBundles() {
		t.Fatal("no bundles on a kernel that has them")
	}
	br, err := r.RegisterBufRingWith(3, BufRingOptions{Count: 4, Size: 4, Start: 4})
	if err != nil {
		t.Fatal(err)
	}
	a, b := tcpPair(t)
	write(t, b, "0123456789")
	s := sqe(t, r)
	s.PrepRecvSelect(a, 3, 0, 0)
	s.SetIoprio(RecvSendBundle)
	c := wait(t, r)
	if c.Res <= 4 {
		t.Fatalf("%+v: one buffer or none", c)
	}
	got := ""
	for id := c.BufID(); len(got) < int(c.Res); id++ {
		got += string(br.Buffer(id))
	}
	if got[:c.Res] != "0123456789"[:c.Res] {
		t.Errorf("%q", got)
	}
}

func TestIncrementalBufferIsFilledInPieces(t *testing.T) {
	needs(t, FeatureBufRingInc)
	r := newRing(t, 8, nil)
	br, err := r.RegisterBufRingWith(3,
		BufRingOptions{Count: 2, Size: 8, Start: 2, Incremental: true})
	if err != nil {
		t.Fatal(err)
	}
	a, b := pair(t, unix.SOCK_STREAM)
	for i, step := range []struct {
		data string
		id   uint16
		more bool
	}{{"abc", 0, true}, {"defgh", 0, false}, {"x", 1, true}} {
		write(t, b, step.data)
		sqe(t, r).PrepRecvSelect(a, 3, 0, 0)
		c := waitRes(t, r, 0, int32(len(step.data)))
		if c.BufID() != step.id || c.BufMore() != step.more {
			t.Errorf("step %d: %+v", i, c)
		}
	}
	if got := string(br.Buffer(0)); got != "abcdefgh" {
		t.Errorf("%q", got)
	}
}

func TestGroupThatIsTakenIsRefused(t *testing.T) {
	needs(t, FeatureBufRing)
	r := newRing(t, 8, nil)
	if _, err := r.RegisterBufRing(1, 4, 16); err != nil {
		t.Fatal(err)
	}
	if _, err := r.RegisterBufRing(1, 4, 16); !errors.Is(err, syscall.EEXIST) {
		t.Error(err)
	}
}
