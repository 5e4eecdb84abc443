package sys

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/leaktest"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/uring"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func ap(s string) transport.Addr { return transport.Addr{AddrPort: netip.MustParseAddrPort(s)} }

func TestSockaddrRoundTrip(t *testing.T) {
	for _, want := range []transport.Addr{
		{}, ap("127.0.0.1:80"), ap("0.0.0.0:0"), ap("255.255.255.255:65535"),
		ap("[::1]:8888"), ap("[::]:0"), ap("[fe80::1%7]:1"), ap("[::ffff:1.2.3.4]:5"),
		{Path: "/run/s"}, {Path: "@abstract"}, {Path: "@"}, {Path: "s"},
		{Path: "/" + strings.Repeat("x", 106)}, {Path: "@" + strings.Repeat("x", 107)},
	} {
		var s Sockaddr
		if err := s.Set(want); err != nil {
			t.Errorf("%v: %v", want, err)
		}
		if got := s.Addr(); got != want {
			t.Errorf("%v came back as %v", want, got)
		}
	}
}

func TestSockaddrRefusesWhatDoesNotFit(t *testing.T) {
	var s Sockaddr
	for _, path := range []string{"/" + strings.Repeat("x", 107), "@" + strings.Repeat("x", 108)} {
		if err := s.Set(transport.Addr{Path: path}); err != syscall.ENAMETOOLONG {
			t.Errorf("a path of %d bytes: %v", len(path), err)
		}
	}
	if err := s.Set(ap("[fe80::1%no-such-interface]:1")); err != syscall.EINVAL {
		t.Errorf("an unknown zone: %v", err)
	}
}

func TestSockaddrZoneByName(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip("needs an interface called lo:", err)
	}
	var s Sockaddr
	if err := s.Set(ap("[fe80::1%lo]:1")); err != nil {
		t.Fatal(err)
	}
	if zone := s.Addr().Addr().Zone(); zone != strconv.Itoa(lo.Index) {
		t.Errorf("zone lo became %q, want %d", zone, lo.Index)
	}
}

func TestSockaddrOfOtherFamiliesIsZero(t *testing.T) {
	s := Sockaddr{uring.Sockaddr{Len: SockaddrSize}}
	s.Raw.Addr.Family = unix.AF_NETLINK
	if got := s.Addr(); !got.IsZero() {
		t.Error(got)
	}
}

func TestSockaddrDoesNotAllocate(t *testing.T) {
	var s Sockaddr
	for _, a := range []transport.Addr{ap("127.0.0.1:80"), ap("[2001:db8::1]:443")} {
		if n := testing.AllocsPerRun(100, func() {
			if s.Set(a) != nil || s.Addr() != a {
				t.Error(a)
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations", a, n)
		}
	}
}

func TestIovecsSkipWhatIsDone(t *testing.T) {
	bufs := [][]byte{nil, []byte("abc"), {}, []byte("d"), []byte("efgh")}
	for skip := range len("abcdefgh") + 1 {
		want := "abcdefgh"[skip:]
		var iov [8]unix.Iovec
		got := ""
		for _, v := range iov[:FillIovecs(iov[:], bufs, skip)] {
			got += string(unsafe.Slice(v.Base, v.Len))
		}
		if got != want {
			t.Errorf("skip %d: %q, want %q", skip, got, want)
		}
	}
	var two [2]unix.Iovec
	if n := FillIovecs(two[:], bufs, 0); n != 2 {
		t.Errorf("%d used of 2", n)
	}
}

func TestTrySendDoesNotAllocate(t *testing.T) {
	var k Kernel
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer k.CloseFD(fds[0])
	defer k.CloseFD(fds[1])
	bufs := [][]byte{[]byte("a"), []byte("b")}
	sink := make([]byte, 8)
	if n := testing.AllocsPerRun(100, func() {
		if n, err := k.TrySend(fds[0], bufs); n != 2 || err != nil {
			t.Error(n, err)
		}
		unix.Read(fds[1], sink)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestErrorsAreSyscallErrors(t *testing.T) {
	var k Kernel
	_, addrErr := k.LocalAddr(-1)
	_, optErr := k.GetOption(-1, proactor.NoDelay)
	_, unknown := k.GetOption(-1, proactor.Option(200))
	_, family := k.Socket(proactor.Other, proactor.Stream)
	for i, err := range []error{addrErr, optErr, unknown, family, k.Bind(-1, ap("[::1]:1")),
		k.Listen(-1, 1), k.ShutdownWrite(-1), k.CloseFD(-1), k.Pollable(-1), k.StopListening(-1)} {
		if _, ok := errors.AsType[*os.SyscallError](err); !ok {
			t.Errorf("error %d: %T %v", i, err, err)
		}
	}
}

// readable reports whether the waker's descriptor is.
func readable(w *Waker) bool {
	fds := []unix.PollFd{{Fd: int32(w.FD()), Events: unix.POLLIN}}
	n, _ := unix.Poll(fds, 0)
	return n > 0
}

// openWaker has w use an eventfd of its own.
func openWaker(t *testing.T, w *Waker) {
	t.Helper()
	fd, signal, err := Eventfd()
	if err != nil {
		t.Fatal(err)
	}
	w.OpenOn(fd, signal, func(fd int) { unix.Close(fd) })
}

func TestWakerWritesOnlyToASleeper(t *testing.T) {
	var w Waker
	openWaker(t, &w)
	defer w.Close()
	w.Wake()
	if readable(&w) || w.Sleep() {
		t.Error("Wake of a loop that is awake wrote, or was forgotten")
	}
	w.Awake()
	if !w.Sleep() {
		t.Error("a Wake was remembered for ever")
	}
	w.Wake()
	w.Wake()
	if !readable(&w) || w.Writes() != 1 {
		t.Errorf("%d writes to a sleeper, want 1", w.Writes())
	}
	w.Awake()
	DrainEventfd(w.FD())
	if readable(&w) {
		t.Error("readable after Drain")
	}
}

func TestWakerLosesNoWake(t *testing.T) {
	var w Waker
	openWaker(t, &w)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 2000 {
				w.Wake()
			}
		})
	}
	// The last Wake comes after the loop can see the end, which would be slept through
	// otherwise.
	stopped, woken := make(chan struct{}), make(chan struct{})
	go func() { group.Wait(); close(stopped); w.Wake(); close(woken) }()
	for ended := false; !ended; {
		select {
		case <-stopped:
			ended = true
		default:
			if w.Sleep() {
				fds := []unix.PollFd{{Fd: int32(w.FD()), Events: unix.POLLIN}}
				if n, err := unix.Poll(fds, 5000); n == 0 && err == nil {
					t.Fatal("slept through a wake")
				}
			}
			w.Awake()
			DrainEventfd(w.FD())
		}
	}
	<-woken
	w.Close()
	w.Close()
	w.Sleep()
	w.Wake()
}

func TestMemoryAndLimits(t *testing.T) {
	b, err := Mmap(8192)
	if err != nil || len(b) != 8192 || b[0] != 0 || b[8191] != 0 {
		t.Fatal(len(b), err)
	}
	b[8191] = 1
	if err := Munmap(b); err != nil {
		t.Error(err)
	}
	soft, hard, err := Getrlimit(LimitFiles)
	if soft == 0 || soft > hard || err != nil {
		t.Error(soft, hard, err)
	}
	if ThreadID() <= 0 {
		t.Error("no thread id")
	}
	for before := Monotonic(); Monotonic()-before < time.Millisecond; {
		if Monotonic() < before {
			t.Fatal("the clock went back")
		}
	}
}
