package unix_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/stream"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// wholeMessages are the kit's statements whose cases pass on a message in parts.
var wholeMessages = []transporttest.Except{
	{Number: 78, Why: "lines that are longer than a message"},
	{Number: 102, Why: "lines that are longer than a message"},
	{Number: 125, Why: "buffers that are smaller than a message"},
	{Number: 126, Why: "buffers that are smaller than a message"},
	{Number: 130, Why: "buffers that are smaller than a message"},
	{Number: 135, Why: "buffers that are smaller than a message"},
	{Number: 136, Why: "buffers that are smaller than a message"},
	{Number: 140, Why: "buffers that are smaller than a message"},
}

// TestSeqPacketOfAServer runs the conformance kit on the transports of messages that a
// Unix server makes.
func TestSeqPacketOfAServer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		transporttest.TestTransport(t, func(t *testing.T,
			p, peer protocol.Protocol) *transporttest.Link {
			rig.ConnectUnixAs(t, l, p, peer, "unixpacket")
			return packetLink(t, l, peer)
		}, wholeMessages...)
	})
}

// TestSeqPacketOfAClient runs it on those that CreateUnixConnection makes.
func TestSeqPacketOfAClient(t *testing.T) {
	rig.SecondEnd(t)
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		transporttest.TestTransport(t, func(t *testing.T,
			p, peer protocol.Protocol) *transporttest.Link {
			rig.ConnectUnixAs(t, l, peer, p, "unixpacket")
			return packetLink(t, l, peer)
		}, wholeMessages...)
	})
}

// packetLink is a link of messages, which must fit into a receive buffer and into the
// socket's send buffer.
func packetLink(t *testing.T, l *loop.Loop, peer protocol.Protocol) *transporttest.Link {
	k := rig.UnixLink(t, l, peer)
	k.MessageMax = 32 << 10
	return k
}

// packets makes a transport of messages for p. Its peer is outside of the loop, or a
// stream.MessageConn if the kernel is a simulated one.
func packets(t *testing.T, l *loop.Loop, p protocol.Protocol) net.Conn {
	t.Helper()
	if l.Engine().String() == "sim" {
		return simulatedPackets(t, l, p)
	}
	f, peer := rig.SocketPair(t, syscall.SOCK_SEQPACKET)
	if _, err := l.CreateUnixConnection(rig.WithTimeout(t), p, "",
		&loop.ConnectionOptions{Network: "unixpacket", Sock: f}); err != nil {
		t.Fatal(err)
	}
	return peer
}

func simulatedPackets(t *testing.T, l *loop.Loop, p protocol.Protocol) net.Conn {
	t.Helper()
	s, err := l.CreateUnixServer(t.Context(), func() protocol.Protocol { return p }, "@peer",
		rig.UnixServer(loop.ServerOptions{Network: "unixpacket"}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	peer, err := stream.Dial(rig.WithTimeout(t), l, "unixpacket", "@peer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		peer.(*stream.MessageConn).Abort()
		_ = peer.(*stream.MessageConn).WaitClosed(context.Background())
	})
	looptest.WaitFor(t, l, "the server's connection", func() bool {
		for range s.Conns() {
			return true
		}
		return false
	})
	return peer
}

// recorded is packets for a Recorder that writes its messages down.
func recorded(t *testing.T, l *loop.Loop) (*transporttest.Recorder, net.Conn, *[]string) {
	t.Helper()
	r, got := transporttest.NewRecorder(t), &[]string{}
	r.On.Data = func(data []byte) { *got = append(*got, string(data)) }
	peer := packets(t, l, r)
	rig.AbortAtEnd(t, l, r)
	return r, peer, got
}

// readMessage is the next message that the peer receives.
func readMessage(t *testing.T, peer net.Conn) string {
	t.Helper()
	buf := make([]byte, 1<<20)
	n, err := peer.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestS453_EachDataReceivedAndEachWriteIsOneMessage(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		r, peer, got := recorded(t, l)
		want := []string{"a", strings.Repeat("b", 5000), "cc", strings.Repeat("d", 40000), "e"}
		for _, m := range want {
			if _, err := peer.Write([]byte(m)); err != nil {
				t.Fatal(err)
			}
		}
		looptest.WaitFor(t, l, "all messages", func() bool { return len(*got) == len(want) })
		looptest.Do(l, func() {
			if !slices.Equal(*got, want) {
				t.Error("the messages received are not those that were sent")
			}
			for _, m := range want {
				_, _ = r.Transport().Write([]byte(m))
			}
		})
		for _, m := range want {
			if got := readMessage(t, peer); got != m {
				t.Fatalf("the peer received %d bytes, want %d", len(got), len(m))
			}
		}
	})
}

func TestS454_EachLineOfWriteLinesIsAMessage(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		r, peer, _ := recorded(t, l)
		looptest.Do(l, func() {
			lines := [][]byte{[]byte("one"), nil, []byte("two"), {}, []byte("three")}
			if err := r.Transport().WriteLines(lines); err != nil {
				t.Error(err)
			}
		})
		for _, want := range []string{"one", "two", "three"} {
			if got := readMessage(t, peer); got != want {
				t.Errorf("the peer received %q, want %q", got, want)
			}
		}
	})
}

func TestS455_AnEmptyWriteSendsNothing(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		r, peer, _ := recorded(t, l)
		looptest.Do(l, func() {
			for _, m := range []string{"", "x"} {
				if n, err := r.Transport().Write([]byte(m)); n != len(m) || err != nil {
					t.Error(n, err)
				}
			}
		})
		if got := readMessage(t, peer); got != "x" {
			t.Errorf("the peer received %q first", got)
		}
	})
}

func TestS456_AnEmptyMessageIsTheEnd(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		r, peer, got := recorded(t, l)
		looptest.Do(l, func() { r.On.EOF = func() bool { return true } })
		for _, m := range []string{"last", "", "nobody reads this"} {
			if _, err := peer.Write([]byte(m)); err != nil {
				t.Fatal(err)
			}
		}
		looptest.WaitFor(t, l, "EOF", r.GotEOF)
		looptest.Do(l, func() {
			if !slices.Equal(*got, []string{"last"}) {
				t.Errorf("received %q", *got)
			}
			_, _ = r.Transport().Write([]byte("still open"))
			_ = r.Transport().WriteEOF()
		})
		if got := readMessage(t, peer); got != "still open" {
			t.Errorf("the peer received %q", got)
		}
		if n, err := peer.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("after WriteEOF the peer received %d bytes, %v", n, err)
		}
	})
}

func TestS457_AMessageThatNoSocketTakesIsRefused(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		r, peer, _ := recorded(t, l)
		looptest.Do(l, func() {
			n, err := r.Transport().Write(make([]byte, 64<<20))
			if n != 0 || !errors.Is(err, syscall.EMSGSIZE) {
				t.Errorf("a Write of 64 MiB: %d, %v", n, err)
			}
			lines := [][]byte{[]byte("not this either"), make([]byte, 64<<20)}
			if err := r.Transport().WriteLines(lines); !errors.Is(err, syscall.EMSGSIZE) {
				t.Errorf("WriteLines: %v", err)
			}
			_, _ = r.Transport().Write([]byte("next"))
		})
		if got := readMessage(t, peer); got != "next" {
			t.Errorf("the peer received %d bytes", len(got))
		}
	})
}

// The buffers of a loop have 64 KiB, and those of this protocol ten bytes.
func TestS458_ATruncatedMessageEndsTheConnection(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, size := range []int{100000, 11} {
			r := transporttest.NewRecorder(t)
			p := protocol.Protocol(r)
			if size == 11 {
				p = r.Buffered(10)
			}
			peer := packets(t, l, p)
			if _, err := peer.Write(make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			rig.WaitLost(t, l, r)
			_, err := r.Lost()
			cut, ok := errors.AsType[*transport.TruncatedError](err)
			if !ok || !errors.Is(err, transport.ErrTruncated) || cut.Size != size ||
				len(cut.Data) == 0 || len(cut.Data) >= size || r.Received() > 0 {
				t.Errorf("a message of %d bytes: %v, %d delivered", size, err, r.Received())
			}
		}
	})
}

func TestS459_WaterMarksAndPausesCountWholeMessages(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		r, peer, got := recorded(t, l)
		const size = 10000
		sent := 0
		looptest.Do(l, func() {
			r.Transport().PauseReading()
			for !r.Transport().WritePaused() && sent < 10000 {
				_, _ = r.Transport().Write(bytes.Repeat([]byte{byte(sent)}, size))
				sent++
			}
			if n := r.Transport().WriteBufferSize(); n%size != 0 || n <= 64<<10 {
				t.Errorf("%d bytes are buffered", n)
			}
		})
		for _, m := range []string{"held", "back"} {
			if _, err := peer.Write([]byte(m)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range sent {
			if got := readMessage(t, peer); len(got) != size || got[0] != byte(i) {
				t.Fatalf("message %d has %d bytes", i, len(got))
			}
		}
		looptest.WaitFor(t, l, "ResumeWriting", func() bool { return r.Count("resume") == 1 })
		looptest.Do(l, func() {
			if len(*got) > 0 {
				t.Errorf("received %q while reading was paused", *got)
			}
			r.Transport().ResumeReading()
		})
		looptest.WaitFor(t, l, "both", func() bool {
			return slices.Equal(*got, []string{"held", "back"})
		})
	})
}

func TestS460_APeerThatClosesWithMessagesUnreadIsAReset(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		r, peer, _ := recorded(t, l)
		looptest.Do(l, func() { _, _ = r.Transport().Write([]byte("unread")) })
		raw, err := peer.(*net.UnixConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Read(func(fd uintptr) bool { // without taking it
			n, _, _ := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
			return n > 0
		}); err != nil {
			t.Fatal(err)
		}
		peer.Close()
		rig.WaitLostWith(t, l, r, syscall.ECONNRESET)
	})
}

func TestS461_WhatNeedsAStreamIsRefused(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		r, _, _ := recorded(t, l)
		file, err := os.Open("seqpacket_test.go")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		_, tls := l.StartTLS(context.Background(), r.Transport(), transporttest.NewRecorder(t),
			nil, nil)
		_, send := l.Sendfile(context.Background(), r.Transport(), file, 0, 1)
		o := &loop.ConnectionOptions{Network: "unixpacket", TLS: &loop.TLSOptions{
			Config: rig.ClientTLS()}}
		_, dial := l.CreateUnixConnection(rig.WithTimeout(t), transporttest.NewRecorder(t),
			"@nobody", o)
		accepted, _ := rig.SocketPair(t, syscall.SOCK_SEQPACKET)
		defer accepted.Close()
		_, accept := l.ConnectAcceptedSocket(rig.WithTimeout(t), transporttest.NewRecorder(t),
			accepted, &loop.ServerOptions{Network: "unixpacket", TLS: &loop.TLSOptions{
				Config: rig.ServerTLS()}})
		for name, err := range map[string]error{"StartTLS": tls, "Sendfile": send, "TLS": dial,
			"TLS on an accepted socket": accept} {
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s: %v", name, err)
			}
		}
		stream, _ := rig.SocketPair(t, syscall.SOCK_STREAM)
		_, err = l.CreateUnixConnection(rig.WithTimeout(t), transporttest.NewRecorder(t), "",
			&loop.ConnectionOptions{Network: "unixpacket", Sock: stream})
		if !errors.Is(err, loop.ErrNotSeqPacket) {
			t.Errorf("a stream socket: %v", err)
		}
	})
}

func TestS462_NoAllocationForAMessageOfAPacketSocket(t *testing.T) {
	if debug.On {
		t.Skip("needs a build without the race detector, which allocates")
	}
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		fds, err := syscall.Socketpair(syscall.AF_UNIX,
			syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(fds[0])
		o := &loop.ConnectionOptions{Network: "unixpacket",
			Sock: os.NewFile(uintptr(fds[1]), "pair")}
		if _, err := l.CreateUnixConnection(rig.WithTimeout(t), &rig.Mirror{}, "", o); err != nil {
			t.Fatal(err)
		}
		rig.MessagesOf(t, fds[0], 64, 16<<10, 60<<10)
	})
}
