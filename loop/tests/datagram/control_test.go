package datagram_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
)

// asking is an option of a socket that brings control messages. Some are newer than the
// oldest kernels.
type asking struct{ level, option, value int }

// askings are those of a datagram socket, by name (asm-generic/socket.h, in.h, in6.h).
var askings = map[string]asking{
	"SO_TIMESTAMPNS":      {syscall.SOL_SOCKET, 35, 1},
	"SO_TIMESTAMPING":     {syscall.SOL_SOCKET, 37, 1<<3 | 1<<4 | 1<<13}, // software, the device
	"SO_RXQ_OVFL":         {syscall.SOL_SOCKET, 40, 1},
	"SO_WIFI_STATUS":      {syscall.SOL_SOCKET, 41, 1},
	"SO_RCVMARK":          {syscall.SOL_SOCKET, 75, 1},
	"SO_RCVPRIORITY":      {syscall.SOL_SOCKET, 82, 1},
	"IP_PKTINFO":          {syscall.IPPROTO_IP, 8, 1},
	"IP_RECVOPTS":         {syscall.IPPROTO_IP, 6, 1},
	"IP_RETOPTS":          {syscall.IPPROTO_IP, 7, 1},
	"IP_RECVTTL":          {syscall.IPPROTO_IP, 12, 1},
	"IP_RECVTOS":          {syscall.IPPROTO_IP, 13, 1},
	"IP_RECVORIGDSTADDR":  {syscall.IPPROTO_IP, 20, 1},
	"IP_CHECKSUM":         {syscall.IPPROTO_IP, 23, 1},
	"IP_RECVFRAGSIZE":     {syscall.IPPROTO_IP, 25, 1},
	"IPV6_RECVPKTINFO":    {syscall.IPPROTO_IPV6, 49, 1},
	"IPV6_RECVHOPLIMIT":   {syscall.IPPROTO_IPV6, 51, 1},
	"IPV6_RECVTCLASS":     {syscall.IPPROTO_IPV6, 66, 1},
	"IPV6_FLOWINFO":       {syscall.IPPROTO_IPV6, 11, 1},
	"IPV6_RECVORIGDSTADR": {syscall.IPPROTO_IPV6, 74, 1},
	"IPV6_2292PKTINFO":    {syscall.IPPROTO_IPV6, 2, 1},
	"IPV6_2292HOPLIMIT":   {syscall.IPPROTO_IPV6, 8, 1},
}

// TestControlMessagesThatAUserAsksForDoNotMergeDatagrams sets each option by itself and
// then all of them.
func TestControlMessagesThatAUserAsksForDoNotMergeDatagrams(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	sets := [][]string{slices.Sorted(maps.Keys(askings))}
	for _, name := range sets[0] {
		sets = append(sets, []string{name})
	}
	for _, local := range []string{"127.0.0.1:0", "[::1]:0"} {
		for _, gro := range []bool{true, false} {
			rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
				for _, set := range sets {
					o := loop.DatagramOptions{LocalAddr: local, GRO: gro, ReceiveBuffer: 4 << 20}
					server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, o)
					client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
						loop.DatagramOptions{LocalAddr: local, GSO: true})
					var refused []string
					rig.Control(t, l, server.T, func(fd int) error {
						for _, name := range set {
							a := askings[name]
							err := syscall.SetsockoptInt(fd, a.level, a.option, a.value)
							if err != nil {
								refused = append(refused, name)
							}
						}
						return nil
					})
					if len(refused) == len(set) {
						continue // of the other family, or of a newer kernel
					}
					want := numbered(100, 300)
					looptest.Do(l, func() {
						for _, text := range want {
							postTo(t, client, server, text)
						}
					})
					rig.WantTexts(t, l, server, want...)
					if t.Failed() {
						t.Fatalf("%s, GRO %v: with %s", local, gro, strings.Join(set, ", "))
					}
				}
			})
		}
	}
}

// TestControlMessagesThatAUserAsksForCostNoDescriptors: credentials come before the
// descriptors, and SO_PASSPIDFD is a descriptor itself, which nobody takes.
func TestControlMessagesThatAUserAsksForCostNoDescriptors(t *testing.T) {
	const passCred, passPidfd, most = 16, 76, 253
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		from, to := rig.FDPair(t, l)
		rig.Control(t, l, to.Transport(), func(fd int) error {
			_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, passPidfd, 1) // Linux 6.5
			return syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, passCred, 1)
		})
		r, _ := rig.Pipe(t)
		files := slices.Repeat([]*os.File{r}, most)
		looptest.Do(l, func() {
			if err := from.WriteWithFDs([]byte("x"), files); err != nil {
				t.Error(err)
			}
		})
		rig.WaitData(t, l, to.Recorder, []byte("x"))
		looptest.Do(l, func() {
			if len(to.Files) != most {
				t.Errorf("%d files of %d", len(to.Files), most)
			}
		})
	})
}

// Where the maker of a socket has turned UDP_GRO on, the kernel merges datagrams.
func TestSocketWithGROIsTakenApart(t *testing.T) {
	const udpGRO = 104
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fd), "socket")
		at := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
		if err := syscall.Bind(fd, at); err != nil {
			t.Fatal(err)
		}
		if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_UDP, udpGRO, 1); err != nil {
			t.Skipf("needs UDP_GRO (Linux 5.0): %v", err)
		}
		server := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, loop.DatagramOptions{Sock: f})
		client := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalAddr: "127.0.0.1:0", GSO: true})
		want := numbered(50, 300)
		looptest.Do(l, func() {
			for _, text := range want {
				postTo(t, client, server, text)
			}
		})
		rig.WantTexts(t, l, server, want...)
	})
}
