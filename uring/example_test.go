//go:build linux

package uring_test

import (
	"fmt"
	"log"
	"runtime"
	"time"

	"github.com/sluice-net/sluice/uring"
	"golang.org/x/sys/unix"
)

// A multishot receive takes buffers of a group as data arrives, until the other
// side closes.
func Example() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	ring, err := uring.New(64, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Close()

	const group = 1
	bufs, err := ring.RegisterBufRingWith(group, uring.BufRingOptions{
		Count: 16, Size: 4096, Start: 16,
	})
	if err != nil {
		log.Fatal(err)
	}
	socks, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer unix.Close(socks[0])

	const receive = 1
	sqe := ring.SQE()
	sqe.PrepRecvMultishot(socks[0], group, 0)
	sqe.SetUserData(receive)
	for _, text := range []string{"one", "two", "three"} {
		sqe = ring.SQE()
		sqe.PrepSend(socks[1], []byte(text), 0)
		sqe.SetFlags(uring.CQESkipSuccess | uring.IOHardlink)
	}
	ring.SQE().PrepClose(socks[1])

	for more := true; more; {
		if _, err := ring.SubmitAndWait(1, time.Second); err != nil {
			log.Fatal(err)
		}
		for c := range ring.CQEs() {
			if c.UserData != receive {
				continue
			}
			if c.HasBuffer() && c.Res > 0 {
				fmt.Printf("%s\n", bufs.Buffer(c.BufID())[:c.Res])
				bufs.Add(c.BufID())
				bufs.Advance()
			}
			more = c.More()
		}
	}
	// Output:
	// one
	// two
	// three
}

func ExampleProbe() {
	features := uring.Probe()
	if err := features.Missing(uring.FeatureSendZC); err != nil {
		fmt.Println("copying sends:", err)
	}
	for _, f := range features {
		if !f.Supported {
			fmt.Println(f)
		}
	}
}
