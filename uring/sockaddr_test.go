//go:build linux

package uring

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestSockaddrKeepsAddressesAndPorts(t *testing.T) {
	for _, text := range []string{"127.0.0.1:80", "0.0.0.0:0", "255.255.255.255:65535",
		"[::1]:8888", "[::]:0", "[fe80::1%7]:1", "[::ffff:1.2.3.4]:5"} {
		var s Sockaddr
		want := netip.MustParseAddrPort(text)
		if err := s.SetAddrPort(want); err != nil || s.AddrPort() != want || s.Path() != "" {
			t.Errorf("%v came back as %v and %q, error %v", want, s.AddrPort(), s.Path(), err)
		}
	}
	s := Sockaddr{Len: 7}
	if err := s.SetAddrPort(netip.AddrPort{}); err != nil || s.Len != 0 || len(s.Bytes()) > 0 {
		t.Errorf("the zero AddrPort takes %d bytes, error %v", s.Len, err)
	}
}

func TestSockaddrKeepsPaths(t *testing.T) {
	for _, want := range []string{"", "s", "/run/s", "@", "@abstract", "@with\x00zero",
		"/" + strings.Repeat("x", 106), "@" + strings.Repeat("x", 107)} {
		var s Sockaddr
		if err := s.SetPath(want); err != nil || s.Path() != want || s.AddrPort().IsValid() {
			t.Errorf("%q came back as %q and %v, error %v", want, s.Path(), s.AddrPort(), err)
		}
	}
}

func TestSockaddrRefusesWhatDoesNotFit(t *testing.T) {
	var s Sockaddr
	for path, want := range map[string]error{
		"/" + strings.Repeat("x", 107): syscall.ENAMETOOLONG,
		"@" + strings.Repeat("x", 108): syscall.ENAMETOOLONG,
		"a\x00b":                       syscall.EINVAL,
	} {
		if err := s.SetPath(path); err != want {
			t.Errorf("%q: %v, want %v", path, err, want)
		}
	}
	err := s.SetAddrPort(netip.MustParseAddrPort("[fe80::1%no-such-interface]:1"))
	if err != syscall.EINVAL {
		t.Errorf("an unknown zone: %v", err)
	}
}

func TestSockaddrTakesTheNameOfAZone(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip("needs an interface called lo:", err)
	}
	var s Sockaddr
	if err := s.SetAddrPort(netip.MustParseAddrPort("[fe80::1%lo]:1")); err != nil {
		t.Fatal(err)
	}
	if zone := s.AddrPort().Addr().Zone(); zone != strconv.Itoa(lo.Index) {
		t.Errorf("zone lo became %q, want %d", zone, lo.Index)
	}
}

// The kernel says how long an address is, and may say less than its family needs, or more
// than there is room for.
func TestSockaddrStaysWithinItsMemory(t *testing.T) {
	for _, n := range []uint32{0, 1, 2, 7, 1 << 31} {
		for _, family := range []uint16{unix.AF_INET, unix.AF_INET6, unix.AF_UNIX, 99} {
			var s Sockaddr
			s.Raw.Addr.Family, s.Len = family, n
			if got := len(s.Bytes()); got != min(int(n), int(unsafe.Sizeof(s.Raw))) {
				t.Errorf("%d bytes of %d", got, n)
			}
			if n < 8 && (s.AddrPort().IsValid() || s.Path() != "" && n <= 2) {
				t.Errorf("%d bytes of family %d are %v %q", n, family, s.AddrPort(), s.Path())
			}
		}
	}
}

func TestSockaddrDoesNotAllocate(t *testing.T) {
	var s Sockaddr
	raw := make([]byte, unix.SizeofSockaddrAny)
	for _, text := range []string{"127.0.0.1:80", "[2001:db8::1]:443"} {
		a := netip.MustParseAddrPort(text)
		if n := testing.AllocsPerRun(100, func() {
			if s.SetAddrPort(a) != nil {
				t.Error(a)
			}
			s.SetBytes(raw[:copy(raw, s.Bytes())])
			if s.AddrPort() != a || s.SetPath("/run/socket") != nil {
				t.Error(a)
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations", a, n)
		}
	}
}

// What is read from any bytes can be written again, and then reads the same.
func FuzzSockaddr(f *testing.F) {
	var s Sockaddr
	for _, text := range []string{"1.2.3.4:5", "[fe80::1%7]:80"} {
		_ = s.SetAddrPort(netip.MustParseAddrPort(text)) // a number needs no look-up
		f.Add(bytes.Clone(s.Bytes()))
	}
	for _, path := range []string{"", "/run/s", "@abstract"} {
		_ = s.SetPath(path) // they fit
		f.Add(bytes.Clone(s.Bytes()))
	}
	f.Add(bytes.Repeat([]byte{1, 0}, 80))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var s, again Sockaddr
		s.SetBytes(raw)
		if !bytes.Equal(s.Bytes(), raw[:min(len(raw), unix.SizeofSockaddrAny)]) {
			t.Fatalf("%x became %x", raw, s.Bytes())
		}
		a, path := s.AddrPort(), s.Path()
		if a.IsValid() {
			if err := again.SetAddrPort(a); err != nil || again.AddrPort() != a || path != "" {
				t.Fatalf("%v %q became %v, error %v", a, path, again.AddrPort(), err)
			}
		}
		// The kernel may fill all 108 bytes with a path; such a path cannot be written.
		if len(path) == pathMax && path[0] != '@' {
			return
		}
		if err := again.SetPath(path); err != nil || again.Path() != path {
			t.Fatalf("%q became %q, error %v", path, again.Path(), err)
		}
	})
}

// Datagrams go to a Sockaddr, and RecvMsgOut's name is one: of UDP and of Unix sockets,
// with and without a file.
func TestSockaddrIsWhatTheKernelMeans(t *testing.T) {
	needs(t, FeatureRecvMsgMultishot)
	path := t.TempDir() + "/s"
	for name, set := range map[string]func(from, to *Sockaddr) error{
		"IPv4": func(from, to *Sockaddr) error {
			a := netip.MustParseAddrPort("127.0.0.1:0")
			return errors.Join(from.SetAddrPort(a), to.SetAddrPort(a))
		},
		"IPv6": func(from, to *Sockaddr) error {
			a := netip.MustParseAddrPort("[::1]:0")
			return errors.Join(from.SetAddrPort(a), to.SetAddrPort(a))
		},
		"Unix": func(from, to *Sockaddr) error {
			return errors.Join(from.SetPath(path+"1"), to.SetPath(path+"2"))
		},
		"abstract": func(from, to *Sockaddr) error {
			return errors.Join(from.SetPath("@"+path), to.SetPath(""))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var from, to, got Sockaddr
			if err := set(&from, &to); err != nil {
				t.Fatal(err)
			}
			sender, receiver := bound(t, &from), bound(t, &to)
			r := newRing(t, 8, nil)
			br, err := r.RegisterBufRingWith(1, BufRingOptions{Count: 1, Size: 512, Start: 1})
			if err != nil {
				t.Fatal(err)
			}
			header := r.StageHeader(unix.SizeofSockaddrAny, 0)
			parse := *header
			sqe(t, r).PrepRecvMsgMultishot(receiver, header, 1, 0)
			send := sqe(t, r)
			send.PrepSendMsg(sender, r.StageMsg([][]byte{[]byte("hi")}, 0, to.Bytes()), 0)
			send.SetFlags(CQESkipSuccess)
			c := wait(t, r)
			var out RecvMsgOut
			if c.Res < 0 || !out.Parse(br.Buffer(c.BufID())[:c.Res], &parse) {
				t.Fatalf("%+v (%v)", c, c.Errno())
			}
			got.SetBytes(out.Name)
			if string(out.Payload) != "hi" || got.AddrPort() != from.AddrPort() ||
				got.Path() != from.Path() {
				t.Errorf("%q from %v %q, want %v %q", out.Payload,
					got.AddrPort(), got.Path(), from.AddrPort(), from.Path())
			}
		})
	}
}

// bound returns a datagram socket that is bound to a, and what the kernel made of a.
func bound(t *testing.T, a *Sockaddr) int {
	t.Helper()
	fd, err := unix.Socket(int(a.Raw.Addr.Family), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skipf("needs sockets of family %d: %v", a.Raw.Addr.Family, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	_, _, errno := unix.Syscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&a.Raw)),
		uintptr(a.Len))
	if errno != 0 {
		t.Fatal(errno)
	}
	a.Reset()
	_, _, errno = unix.Syscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&a.Raw)),
		uintptr(unsafe.Pointer(&a.Len)))
	if errno != 0 {
		t.Fatal(errno)
	}
	return fd
}
