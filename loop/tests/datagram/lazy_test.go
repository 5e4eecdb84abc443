package datagram_test

import (
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// The end of a send that nobody waits for is not reported until something else happens
// (decision 0022). But whoever begins to wait for it before the loop sleeps has to learn
// of it: here in ResumeWriting, which is called when descriptors have been sent, after
// the first send was handed over.
func TestALazySendIsReportedToWhoeverBeginsToWait(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		for name, wait := range map[string]func(w transport.Transport){
			"write": func(w transport.Transport) { w.Write([]byte("y")) },
			"owned": func(w transport.Transport) {
				w.(transport.OwnedWriter).WriteOwned([]byte("y"), nil)
			},
			"eof":   func(w transport.Transport) { w.WriteEOF() },
			"close": func(w transport.Transport) { w.Close() },
			"marks": func(w transport.Transport) { w.SetWriteBufferLimits(transport.Limits{}) },
		} {
			first, peer := rig.Outside(t, l)
			second, _ := rig.Outside(t, l)
			rig.AbortAtEnd(t, l, first, second)
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			looptest.Turns(l, 3)
			resumed := make(chan struct{})
			first.On.Resume = func() { close(resumed) }
			second.On.Resume = func() { wait(first.Transport()) }
			l.CallSoonThreadsafe(func() {
				first.Transport().Write([]byte("x"))
				w := second.Transport()
				w.SetWriteBufferLimits(transport.Limits{})
				if err := w.(transport.FDWriter).WriteWithFDs([]byte("f"),
					[]*os.File{f}); err != nil {
					t.Error(err)
				}
				f.Close()
			})
			peer.SetReadDeadline(time.Now().Add(looptest.WaitTimeout))
			want := map[string]string{"write": "xy", "owned": "xy"}[name]
			buf := make([]byte, max(len(want), 1))
			if _, err := io.ReadFull(peer, buf); err != nil {
				t.Errorf("%s: %q, %v", name, buf, err)
			}
			switch name {
			case "eof", "close":
				if n, err := peer.Read(buf); n != 0 || err != io.EOF {
					t.Errorf("%s: %d, %v", name, n, err)
				}
			case "marks":
				select {
				case <-resumed:
				case <-time.After(looptest.WaitTimeout):
					t.Error("the protocol stays paused")
				}
			}
		}
	})
}

func TestADatagramBehindALazyOneIsSent(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		peer, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		d := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{RemoteAddr: peer.LocalAddr().String()})
		say := func(word string) {
			if err := d.T.SendTo([]byte(word), transport.Addr{}); err != nil {
				t.Error(err)
			}
		}
		other, _ := rig.Outside(t, l)
		rig.AbortAtEnd(t, l, other)
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		looptest.Turns(l, 3)
		other.On.Resume = func() { say("second") } // after the first was handed over
		l.CallSoonThreadsafe(func() {
			say("first")
			w := other.Transport()
			w.SetWriteBufferLimits(transport.Limits{})
			if err := w.(transport.FDWriter).WriteWithFDs([]byte("f"), []*os.File{f}); err != nil {
				t.Error(err)
			}
			f.Close()
		})
		peer.SetReadDeadline(time.Now().Add(looptest.WaitTimeout))
		buf := make([]byte, 9)
		for _, want := range []string{"first", "second"} {
			if n, _, err := peer.ReadFrom(buf); string(buf[:n]) != want {
				t.Errorf("%q, %v, want %q", buf[:n], err, want)
			}
		}
	})
}

// farewell tells when an endpoint is gone, without a look at the loop, which would
// make it look for completions.
type farewell struct {
	protocol.DatagramBase
	gone chan struct{}
}

func (farewell) DatagramReceived([]byte, transport.Addr) {}

func (f farewell) ConnectionLost(error) { close(f.gone) }

func TestS161_CloseNoticesThatTheLastDatagramWasSent(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		peer, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		peer.SetReadDeadline(time.Now().Add(looptest.WaitTimeout))
		for _, later := range []bool{false, true} {
			f := farewell{gone: make(chan struct{})}
			d, err := l.CreateDatagramEndpoint(rig.WithTimeout(t), f,
				&loop.DatagramOptions{RemoteAddr: peer.LocalAddr().String()})
			if err != nil {
				t.Fatal(err)
			}
			looptest.Turns(l, 3)
			l.CallSoonThreadsafe(func() {
				if err := d.SendTo([]byte("bye"), transport.Addr{}); err != nil {
					t.Error(err)
				}
				if !later {
					d.Close()
				}
			})
			if _, _, err := peer.ReadFrom(make([]byte, 9)); err != nil {
				t.Error(err)
			}
			if later {
				l.CallSoonThreadsafe(func() { d.Close() })
			}
			select {
			case <-f.gone:
			case <-time.After(looptest.WaitTimeout):
				t.Fatalf("no ConnectionLost; closed later: %v", later)
			}
		}
	})
}
