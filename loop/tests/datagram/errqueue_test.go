package datagram_test

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
	"golang.org/x/sys/unix"
)

// stampSends has the kernel put the time of each send into the socket's queue of errors,
// where it stays: the socket counts as in error from the first send on, and no call fails.
func stampSends(t *testing.T, tr transport.BaseTransport) {
	rig.SetOption(t, tr, syscall.SO_TIMESTAMPING, unix.SOF_TIMESTAMPING_TX_SOFTWARE|
		unix.SOF_TIMESTAMPING_TX_SCHED|unix.SOF_TIMESTAMPING_SOFTWARE)
}

// wantNoSpin checks that a loop that has nothing to do makes fewer turns than a spin would
// in the time: of what rests there are up to two in 5 ms.
func wantNoSpin(t *testing.T, l *loop.Loop, when string) {
	t.Helper()
	looptest.Pass(t, l, 5*time.Millisecond)
	const d = 50 * time.Millisecond
	if n := turnsAlone(t, l, d); n > 60 {
		t.Errorf("%s: %.0f turns in %v of a loop that has nothing to do", when, n, d)
	}
}

// stamped is a connection whose socket is in error since its first send.
func stamped(t *testing.T, l *loop.Loop) rig.OutsideConn {
	g := rig.OutsideConns(t, l, "tcp", 1)[0]
	looptest.Do(l, func() {
		stampSends(t, g.Transport())
		g.Transport().Write([]byte("first"))
	})
	first := make([]byte, 5)
	if _, err := io.ReadFull(g.Peer, first); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestTimestampsThatNobodyFetchesDoNotKeepTheLoopBusy(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		g := stamped(t, l)
		wantNoSpin(t, l, "reading")
		for _, s := range []string{"a", "ab", "abc"} {
			g.Peer.Write([]byte(s))
			looptest.WaitFor(t, l, "it", func() bool {
				data := string(g.Data())
				return len(data) >= len(s) && data[len(data)-len(s):] == s
			})
		}
		wantNoSpin(t, l, "after some data")
		const size = 32 << 20
		looptest.Do(l, func() { g.Transport().Write(make([]byte, size)) })
		wantNoSpin(t, l, "writing to who does not read")
		looptest.Do(l, g.Transport().PauseReading)
		wantNoSpin(t, l, "the same, and paused")
		looptest.Do(l, g.Transport().ResumeReading)
		if n, err := io.CopyN(io.Discard, g.Peer, size); err != nil {
			t.Errorf("%d bytes of %d: %v", n, size, err)
		}
		g.Peer.Close()
		looptest.WaitFor(t, l, "the end", func() bool { return g.Count("lost") == 1 })
	})
}

func TestTimestampsThatNobodyFetchesDoNotMakeSendfileSpin(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		g := stamped(t, l)
		const size = 32 << 20
		f, err := os.Create(filepath.Join(t.TempDir(), "file"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := l.Sendfile(t.Context(), g.Transport(), f, 0, size)
			done <- err
		}()
		looptest.Pass(t, l, 50*time.Millisecond)
		wantNoSpin(t, l, "a file to who does not read")
		if n, err := io.CopyN(io.Discard, g.Peer, size); err != nil {
			t.Errorf("%d bytes of %d: %v", n, size, err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestTimestampsOfDatagramsThatNobodyFetchesDoNotKeepTheLoopBusy(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		for _, recvErr := range []bool{false, true} {
			server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
			client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
				loop.DatagramOptions{LocalAddr: "127.0.0.1:0", RecvErr: recvErr})
			looptest.Do(l, func() { stampSends(t, client.T) })
			rig.SendAll(t, l, client, rig.AddrOf(server), "one", "two")
			rig.WantTexts(t, l, server, "one", "two")
			wantNoSpin(t, l, "after two datagrams")
			rig.SendAll(t, l, server, rig.AddrOf(client), "three", "four")
			rig.WantTexts(t, l, client, "three", "four")
			wantNoSpin(t, l, "after two more")
		}
	})
}
