package stream_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport/transporttest"
)

func TestS129_ABufferThatMustNotBeWrittenEndsTheConnection(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		page, err := syscall.Mmap(-1, 0, os.Getpagesize(), syscall.PROT_READ,
			syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Munmap(page)
		r, peer := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
		r.On.Get = func(int) []byte { return page }
		rig.ConnectTCP(t, l, peer, r.Buffered(1))
		looptest.Do(l, func() { peer.Transport().Write([]byte("nowhere to go")) })
		rig.WaitLost(t, l, r)
		if _, err := r.Lost(); !errors.Is(err, syscall.EFAULT) || r.Count("updated") != 0 {
			t.Errorf("ConnectionLost(%v), %s", err, r.Trace())
		}
		rig.WaitLost(t, l, peer)
	})
}

func TestS141_EveryStreamTakesABufferedProtocol(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for name, connect := range map[string]func(t *testing.T, l *loop.Loop, p,
		peer protocol.Protocol){
		"TCP": rig.ConnectTCP, "Unix": rig.ConnectUnix, "TLS": rig.ConnectTLS,
		"pipe": rig.ConnectPipe,
	} {
		t.Run(name, func(t *testing.T) {
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
				r, peer := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
				connect(t, l, r.Buffered(1000), peer)
				want := bytes.Repeat([]byte("straight in "), 5000)
				looptest.Do(l, func() { peer.Transport().Write(want) })
				rig.WaitData(t, l, r, want)
				if r.Count("data") != 0 || r.Count("updated") < len(want)/1000 {
					t.Errorf("%d times data, %d buffers", r.Count("data"), r.Count("updated"))
				}
				looptest.Do(l, peer.Transport().Abort)
				rig.WaitLost(t, l, r)
				rig.WaitLost(t, l, peer)
			})
		})
	}
}

// registered is how many buffers a process has registered with its rings.
func registered(t *testing.T) (n int) {
	fds, err := os.ReadDir("/proc/self/fdinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		info, _ := os.ReadFile("/proc/self/fdinfo/" + fd.Name())
		_, bufs, ok := strings.Cut(string(info), "UserBufs:")
		if !ok {
			continue
		}
		for line := range strings.Lines(bufs) {
			if strings.Contains(line, "/") {
				n++
			}
		}
	}
	return n
}

func TestS142_AllocBufferIsRegisteredAndAnyMemoryWillDo(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		r, peer := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
		var whole []byte
		before := registered(t)
		looptest.Do(l, func() { whole = l.AllocBuffer(16 << 10) })
		for i := range whole {
			if whole[i] != 0 {
				t.Fatal("not zeroed")
			}
		}
		const from, to = 1000, 5000 // the part that is lent
		next := 0
		r.On.Get = func(int) []byte {
			next++
			return [][]byte{whole[from:to], make([]byte, 300), whole[from:to:to]}[next%3]
		}
		rig.ConnectTCP(t, l, peer, r.Buffered(1))
		want := bytes.Repeat([]byte("registered or not "), 10_000)
		looptest.Do(l, func() { peer.Transport().Write(want) })
		rig.WaitData(t, l, r, want)
		if n := registered(t) - before; n < 1 && l.Engine() == loop.Uring {
			t.Errorf("%d buffers are registered", n)
		}
		looptest.Do(l, r.Transport().Abort)
		rig.WaitLost(t, l, r)
		rig.WaitLost(t, l, peer)
		if len(bytes.Trim(whole[:from], "\x00"))+len(bytes.Trim(whole[to:], "\x00")) != 0 {
			t.Error("bytes beside the part that was lent")
		}
		looptest.Do(l, func() { l.FreeBuffer(whole) })
	})
}
