package simio_test

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/uring"
)

// ringScript is what is done to a ring, and what is seen.
type ringScript struct {
	name string
	cq   uint32
	run  func(r *scriptRig)
	want string
}

// say adds to the trace.
func (r *scriptRig) say(format string, args ...any) {
	r.trace += fmt.Sprintf(format, args...) + " "
}

// see adds the completions that are there: user_data, result, and letters for More,
// Buffer. Counts of bytes are not told apart.
func (r *scriptRig) see() {
	for c := range r.ring.CQEs() {
		res := fmt.Sprint(c.Res)
		if c.Res < 0 {
			res = unixName(c.Errno())
		}
		flags := ""
		if c.More() {
			flags += "M"
		}
		if c.HasBuffer() {
			flags += "B"
		}
		r.say("%d:%s%s", c.UserData, res, flags)
	}
	r.say(".")
}

func unixName(errno syscall.Errno) string {
	for name, e := range map[string]syscall.Errno{"EAGAIN": syscall.EAGAIN,
		"ECANCELED": syscall.ECANCELED, "ENOENT": syscall.ENOENT, "EPIPE": syscall.EPIPE,
		"ENOBUFS": syscall.ENOBUFS, "ENOTSOCK": syscall.ENOTSOCK, "EBADF": syscall.EBADF} {
		if e == errno {
			return name
		}
	}
	return errno.Error()
}

// The events of poll(2), and the flags of send(2).
const (
	in, out, hup, rdhup = 0x1, 0x4, 0x10, 0x2000

	dontWait, waitAll, noSignal = syscall.MSG_DONTWAIT, syscall.MSG_WAITALL,
		syscall.MSG_NOSIGNAL
	silent = dontWait | waitAll | noSignal
)

var ringScripts = []ringScript{
	{name: "a silent send says nothing", run: func(r *scriptRig) {
		a, _ := r.pair()
		r.sqe(1, func(s *uring.SQE) {
			s.PrepSend(a, []byte("x"), silent)
			s.SetFlags(uring.CQESkipSuccess)
		})
		r.enter()
		r.see()
	}, want: ". "},
	{name: "a silent send without room fails at once", run: func(r *scriptRig) {
		a, _ := r.pair()
		r.full(a)
		r.sqe(1, func(s *uring.SQE) {
			s.PrepSend(a, []byte("x"), silent)
			s.SetFlags(uring.CQESkipSuccess)
		})
		r.enter()
		r.see()
	}, want: "1:EAGAIN . "},
	{name: "a silent send that is short says so, without WAITALL not", run: func(r *scriptRig) {
		a, b := r.pair()
		large := make([]byte, 4<<20)
		for i, flags := range []int{silent, dontWait | noSignal} {
			r.sqe(uint64(i), func(s *uring.SQE) {
				s.PrepSend(a, large, flags)
				s.SetFlags(uring.CQESkipSuccess)
			})
			r.enter()
			for c := range r.ring.CQEs() {
				r.say("%d:%v", c.UserData, c.Res > 0 && int(c.Res) < len(large))
			}
			r.drain(b)
		}
	}, want: "0:true "},
	{name: "a send that waits goes on until all is sent", run: func(r *scriptRig) {
		a, b := r.pair()
		r.sqe(1, func(s *uring.SQE) { s.PrepSend(a, make([]byte, 2<<20), waitAll|noSignal) })
		for range 10000 {
			r.enter()
			if r.ring.Ready() > 0 {
				break
			}
			r.drain(b)
		}
		r.see()
	}, want: "1:2097152 . "},
	{name: "a send waits on where a poll is always over", run: func(r *scriptRig) {
		a, b := r.pair()
		r.full(a)
		r.closeWrite(b)
		r.sqe(1, func(s *uring.SQE) { s.PrepSend(a, []byte("x"), waitAll|noSignal) })
		for err := error(nil); err == nil; _, err = r.ring.SubmitAndWait(1, scriptTimeout) {
		}
		r.see()
		r.drain(b)
		if _, err := r.ring.SubmitAndWait(1, time.Second); err != nil {
			r.Fatal(err)
		}
		r.see()
	}, want: ". 1:1 . "},
	{name: "a poll tells of the end of the peer though nobody asked", run: func(r *scriptRig) {
		a, b := r.pair()
		r.full(a)
		r.sqe(1, func(s *uring.SQE) { s.PrepPollAdd(a, out) })
		r.enter()
		r.see()
		r.closeWrite(b)
		r.enter()
		r.see()
		r.sqe(2, func(s *uring.SQE) { s.PrepPollAdd(a, out) })
		r.enter()
		r.see()
	}, want: ". 1:8192 . 2:8192 . "},
	{name: "a poll by edges tells once", run: func(r *scriptRig) {
		a, b := r.pair()
		r.full(a)
		r.closeWrite(b)
		r.sqe(1, func(s *uring.SQE) { s.PrepPollMultishot(a, out) })
		r.enter()
		r.see()
		r.enter()
		r.see()
		r.drain(b)
		r.enter()
		for c := range r.ring.CQEs() {
			r.say("%d:%v", c.UserData, c.Res&out != 0 && c.More())
		}
	}, want: "1:8192M . . 1:true "},
	{name: "a cancel is done at once, what it ends is told when asked", run: func(r *scriptRig) {
		a, _ := r.pair()
		r.sqe(1, func(s *uring.SQE) { s.PrepRecv(a, make([]byte, 8), 0) })
		r.enter()
		r.see()
		r.sqe(2, func(s *uring.SQE) { s.PrepCancel(1, 0) })
		if _, err := r.ring.Submit(); err != nil { // without looking at what is ready
			r.Fatal(err)
		}
		r.say("%v", r.ring.TaskrunPending())
		r.see()
		r.enter()
		r.see()
	}, want: ". true 2:0 . 1:ECANCELED . "},
	{name: "a cancel that finds nothing fails, also if it is silent", run: func(r *scriptRig) {
		r.sqe(1, func(s *uring.SQE) {
			s.PrepCancel(7, 0)
			s.SetFlags(uring.CQESkipSuccess)
		})
		r.enter()
		r.see()
	}, want: "1:ENOENT . "},
	{name: "a failure breaks a chain", run: func(r *scriptRig) {
		for i, flag := range []uint8{uring.IOLink, uring.IOHardlink} {
			r.sqe(uint64(10*i), func(s *uring.SQE) {
				s.PrepCancel(99, 0)
				s.SetFlags(flag)
			})
			r.sqe(uint64(10*i+1), func(s *uring.SQE) { s.PrepNop() })
			r.enter()
			r.enter()
			r.see()
		}
	}, want: "0:ENOENT 1:ECANCELED . 10:ENOENT 11:0 . "},
	{name: "what has no room in the queue waits in order", cq: 8, run: func(r *scriptRig) {
		for i := range 8 {
			r.sqe(uint64(i), func(s *uring.SQE) { s.PrepNop() })
		}
		r.enter()
		for i := range 3 {
			r.sqe(uint64(10+i), func(s *uring.SQE) { s.PrepNop() })
		}
		if _, err := r.ring.Submit(); err != nil {
			r.Fatal(err)
		}
		r.say("%v %v", r.ring.Overflowed(), r.ring.Ready())
		r.ring.Advance(2)
		r.sqe(20, func(s *uring.SQE) { s.PrepNop() })
		if _, err := r.ring.Submit(); err != nil {
			r.Fatal(err)
		}
		r.see()
		r.enter()
		r.see()
	}, want: "true 8 2:0 3:0 4:0 5:0 6:0 7:0 10:0 11:0 . 12:0 20:0 . "},
	{name: "a multishot receive does not overflow but ends", cq: 8, run: func(r *scriptRig) {
		a, b := r.pair()
		group(r, 8)
		r.sqe(1, func(s *uring.SQE) { s.PrepRecvMultishot(a, 1, 0) })
		r.enter()
		for i := range 7 {
			r.sqe(uint64(10+i), func(s *uring.SQE) { s.PrepNop() })
		}
		r.enter()
		for range 2 {
			r.send(b, make([]byte, 16))
		}
		r.enter()
		r.ring.Advance(7)
		r.see()
		r.enter()
		r.see()
	}, want: "1:16MB . 1:16B . "},
}

// group gives the ring a group of so many buffers of 16 bytes.
func group(r *scriptRig, n int) *uring.BufRing {
	r.Helper()
	g, err := r.ring.RegisterBufRingWith(1, uring.BufRingOptions{Count: 8, Size: 16, Start: n})
	if err != nil {
		r.Fatal(err)
	}
	return g
}

var moreRingScripts = []ringScript{
	{name: "a receive looks for a buffer before there is data", run: func(r *scriptRig) {
		a, b := r.pair()
		group(r, 0)
		r.sqe(1, func(s *uring.SQE) { s.PrepRecvMultishot(a, 1, 0) })
		r.enter()
		r.see()
		r.sqe(2, func(s *uring.SQE) {
			s.PrepRecvMultishot(a, 1, 0)
			s.SetIoprio(uring.RecvSendPollFirst)
		})
		r.enter()
		r.see()
		r.send(b, []byte("x"))
		r.enter()
		r.see()
	}, want: "1:ENOBUFS . . 2:ENOBUFS . "},
	{name: "a multishot receive goes on to the end", run: func(r *scriptRig) {
		a, b := r.pair()
		group(r, 8)
		r.sqe(1, func(s *uring.SQE) { s.PrepRecvMultishot(a, 1, 0) })
		r.enter()
		r.send(b, make([]byte, 20))
		r.enter()
		r.see()
		r.closeWrite(b)
		r.enter()
		for c := range r.ring.CQEs() {
			r.say("%d:%d %v", c.UserData, c.Res, c.More())
		}
	}, want: "1:16MB 1:4MB . 1:0 false "},
	{name: "a wait ends with its time", run: func(r *scriptRig) {
		_, err := r.ring.SubmitAndWait(1, scriptTimeout)
		r.say("%v", errors.Is(err, uring.ErrTimeout))
		r.sqe(1, func(s *uring.SQE) { s.PrepRecv(mustPair(r), make([]byte, 8), 0) })
		n, err := r.ring.SubmitAndWait(1, scriptTimeout)
		r.say("%d %v", n, err)
		r.see()
	}, want: "true 1 <nil> . "},
	{name: "what is ready is flagged, and told when asked", run: func(r *scriptRig) {
		a, b := r.pair()
		r.sqe(1, func(s *uring.SQE) { s.PrepRecv(a, make([]byte, 8), 0) })
		r.enter()
		r.say("%v", r.ring.TaskrunPending())
		r.send(b, []byte("x"))
		r.say("%v %d", r.ring.TaskrunPending(), r.ring.Ready())
		r.enter()
		r.say("%v", r.ring.TaskrunPending())
		r.see()
	}, want: "false true 0 false 1:1 . "},
	{name: "twenty tasks at a time", cq: 64, run: func(r *scriptRig) {
		a, b := r.pair()
		for i := range 48 {
			r.sqe(uint64(i), func(s *uring.SQE) { s.PrepPollAdd(a, in) })
			if i%8 == 7 {
				r.enter()
			}
		}
		r.send(b, []byte("x"))
		for r.ring.TaskrunPending() {
			r.enter()
			r.say("%d", r.ring.Ready())
		}
	}, want: "20 40 48 "},
	{name: "what is no socket is none", run: func(r *scriptRig) {
		rd, wr := r.pipe()
		r.sqe(1, func(s *uring.SQE) { s.PrepSend(wr, []byte("x"), silent) })
		r.sqe(2, func(s *uring.SQE) { s.PrepRecv(rd, make([]byte, 1), 0) })
		r.sqe(3, func(s *uring.SQE) { s.PrepWrite(wr, []byte("x"), uring.CurrentOffset) })
		r.sqe(4, func(s *uring.SQE) { s.PrepSend(99999, []byte("x"), silent) })
		r.enter()
		r.enter()
		r.see()
	}, want: "1:ENOTSOCK 2:ENOTSOCK 3:1 4:EBADF . "},
	{name: "nobody is left to send to", run: func(r *scriptRig) {
		a, b := r.pair()
		r.closeFD(b)
		r.sqe(1, func(s *uring.SQE) {
			s.PrepSend(a, []byte("x"), silent)
			s.SetFlags(uring.CQESkipSuccess)
		})
		r.sqe(2, func(s *uring.SQE) { s.PrepRecv(a, make([]byte, 1), 0) })
		r.sqe(3, func(s *uring.SQE) { s.PrepPollAdd(a, out) })
		r.enter()
		r.see()
	}, want: fmt.Sprintf("1:EPIPE 2:0 3:%d . ", out|hup|rdhup)},
	{name: "a read of a counter waits for it", run: func(r *scriptRig) {
		fd, write := r.eventfd()
		r.sqe(1, func(s *uring.SQE) { s.PrepRead(fd, make([]byte, 8), 0) })
		r.enter()
		r.see()
		write()
		r.enter()
		r.see()
	}, want: ". 1:8 . "},
	{name: "everything can be cancelled", run: func(r *scriptRig) {
		a, b := r.pair()
		r.sqe(1, func(s *uring.SQE) { s.PrepRecv(a, make([]byte, 8), 0) })
		r.sqe(2, func(s *uring.SQE) { s.PrepPollMultishot(b, in) })
		r.enter()
		all := uring.CancelAny | uring.CancelAll
		if _, err := r.ring.SyncCancel(0, -1, all, scriptTimeout); err != nil {
			r.Fatal(err)
		}
		r.enter()
		r.see()
	}, want: "1:ECANCELED 2:ECANCELED . "},
}

func init() { ringScripts = append(ringScripts, moreRingScripts...) }

func mustPair(r *scriptRig) int { a, _ := r.pair(); return a }
