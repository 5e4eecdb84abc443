//go:build linux

package uring

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// checks lists the features in the order of their constants. A check returns why
// the feature is missing.
var checks = []struct {
	name string
	do   func(p *prober) error
}{
	{FeatureSetup, nop},
	{FeatureExtArg, (*prober).extArg},
	{FeatureSubmitAll, func(p *prober) error { return p.accepted(SetupSubmitAll) }},
	{FeatureSingleIssuer, func(p *prober) error { return p.accepted(SetupSingleIssuer) }},
	{FeatureDeferTaskrun, func(p *prober) error { return p.accepted(SetupDeferTaskrun) }},
	{FeatureNoSQArray, func(p *prober) error { return p.accepted(SetupNoSQArray) }},
	{FeatureNoIOWait, func(p *prober) error { return offered(p.ring.hasNoIOWait()) }},
	{FeatureRegisteredRing, (*prober).registeredRing},
	{FeatureCQESkip, (*prober).cqeSkip},
	{FeatureBufRing, (*prober).bufRing},
	{FeatureBufRingInc, (*prober).bufRingInc},
	{FeatureRecvMultishot, (*prober).recvMultishot},
	{FeatureRecvMsgMultishot, (*prober).recvMsgMultishot},
	{FeatureRecvBundle, (*prober).recvBundle},
	{FeatureAcceptMultishot, (*prober).acceptMultishot},
	{FeatureReadMultishot, (*prober).readMultishot},
	{FeaturePollMultishot, (*prober).pollMultishot},
	{FeatureReadFixed, (*prober).readFixed},
	{FeatureSendZC, (*prober).sendZC},
	{FeatureSyncCancel, (*prober).syncCancel},
	{FeatureCancelFD, (*prober).cancelFD},
	{FeatureMsgRing, (*prober).msgRing},
	{FeatureSplice, (*prober).splice},
	{FeatureWaitid, (*prober).waitid},
	{FeatureDirectDescriptors, (*prober).directDescriptors},
	{FeatureSocketUnsent, (*prober).socketUnsent},
}

// accepted reports whether setup took a flag. New gives up only flags that are
// refused, so one that is missing was answered with EINVAL.
func (p *prober) accepted(flag uint32) error {
	if p.ring.Flags()&flag == 0 {
		return syscall.EINVAL
	}
	return nil
}

func offered(is bool) error {
	if !is {
		return errNotOffered
	}
	return nil
}

// nop checks the least that must work: setup may be allowed and enter refused.
func nop(p *prober) error {
	_, err := p.do((*SQE).PrepNop)
	return err
}

func (p *prober) extArg() error {
	for range 100 {
		switch _, err := p.ring.SubmitAndWait(1, 10*time.Microsecond); err {
		case ErrTimeout:
			return nil
		case nil: // a signal
		default:
			return err
		}
	}
	return errNoCompletion
}

// registeredRing asks again for the errno, because New continues without it.
func (p *prober) registeredRing() error {
	if p.ring.HasRegisteredFD() {
		return nil
	}
	err := p.ring.registerRingFD()
	if errno := errnoOf(err); errno != 0 {
		return errno
	}
	return err
}

// cqeSkip submits two NOPs, of which only the second may post a completion.
func (p *prober) cqeSkip() error {
	r := p.ring
	before := r.Stats().Completed
	for _, flags := range []uint8{CQESkipSuccess, 0} {
		if err := p.start(func(s *SQE) { s.PrepNop(); s.SetFlags(flags) }); err != nil {
			return err
		}
	}
	c, err := p.next()
	if err != nil {
		return errnoOrNil(c)
	}
	if r.Stats().Completed-before != 1 {
		return errCompletion
	}
	return nil
}

func (p *prober) bufRing() error {
	if err := p.buffers(false); err != nil {
		return err
	}
	a, b, err := p.pair()
	if err != nil {
		return err
	}
	return p.receives(b, func(s *SQE) { s.PrepRecvSelect(a, p.group, 0, 0) })
}

func (p *prober) bufRingInc() error {
	if err := p.buffers(true); err != nil {
		return err
	}
	a, b, err := p.pair()
	if err != nil {
		return err
	}
	if _, err := unix.Write(b, probeData); err != nil {
		return err
	}
	c, err := p.do(func(s *SQE) { s.PrepRecvSelect(a, p.group, 0, 0) })
	if err == nil && !c.BufMore() {
		err = errSingleShot
	}
	return err
}

// probeData is shorter than half a buffer of the group.
var probeData = []byte("probe")

// receives starts the operation and sends something to b that it must deliver.
func (p *prober) receives(b int, prep func(*SQE)) error {
	if err := p.start(prep); err != nil {
		return err
	}
	return p.brings(b, false)
}

// brings sends something to b that the started operation must deliver; if more is
// true the operation must also stay armed.
func (p *prober) brings(b int, more bool) error {
	if _, err := unix.Write(b, probeData); err != nil {
		return err
	}
	c, err := p.next()
	switch {
	case err != nil:
		return err
	case int(c.Res) < len(probeData) || !c.HasBuffer():
		return errWrongResult
	case more && !c.More():
		return errSingleShot
	}
	return nil
}

// repeats checks that a multishot operation delivers what is sent to b, twice.
func (p *prober) repeats(b int, prep func(*SQE)) error {
	if err := p.buffers(false); err != nil {
		return err
	}
	if err := p.start(prep); err != nil {
		return err
	}
	for range 2 {
		if err := p.brings(b, true); err != nil {
			return err
		}
	}
	return nil
}

func (p *prober) recvMultishot() error {
	a, b, err := p.pair()
	if err != nil {
		return err
	}
	return p.repeats(b, func(s *SQE) { s.PrepRecvMultishot(a, p.group, 0) })
}

func (p *prober) recvMsgMultishot() error {
	a, b, err := p.pairOf(unix.SOCK_DGRAM)
	if err != nil {
		return err
	}
	return p.repeats(b, func(s *SQE) {
		s.PrepRecvMsgMultishot(a, new(unix.Msghdr), p.group, 0)
	})
}

func (p *prober) readMultishot() error {
	a, b, err := p.pipe()
	if err != nil {
		return err
	}
	return p.repeats(b, func(s *SQE) { s.PrepReadMultishot(a, p.group, CurrentOffset) })
}

// recvBundle receives more than one buffer holds. It uses TCP, because the socket
// must say how much it has, which AF_UNIX does not on 6.12.
func (p *prober) recvBundle() error {
	if !p.ring.HasBundles() {
		return errNotOffered
	}
	if err := p.buffers(false); err != nil {
		return err
	}
	a, b, err := p.tcpPair()
	if err != nil {
		return err
	}
	if _, err := unix.Write(b, make([]byte, 2*p.bufs.Size())); err != nil {
		return err
	}
	c, err := p.do(func(s *SQE) {
		s.PrepRecvSelect(a, p.group, 0, 0)
		s.SetIoprio(RecvSendBundle)
	})
	if err == nil && int(c.Res) <= p.bufs.Size() {
		err = errWrongResult
	}
	return err
}

// acceptMultishot looks for CQE.More, because a kernel that does not know a flag
// might accept just once.
func (p *prober) acceptMultishot() error {
	fd, err := p.socket(unix.AF_UNIX, unix.SOCK_STREAM)
	if err != nil {
		return err
	}
	// No name: the kernel picks one.
	if err := unix.Bind(fd, &unix.SockaddrUnix{}); err != nil {
		return err
	}
	if err := unix.Listen(fd, 4); err != nil {
		return err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	err = p.start(func(s *SQE) { s.PrepAcceptMultishot(fd, unix.SOCK_CLOEXEC) })
	for range 2 {
		if err == nil {
			err = p.acceptsOne(name)
		}
	}
	return err
}

func (p *prober) acceptsOne(name unix.Sockaddr) error {
	client, err := p.socket(unix.AF_UNIX, unix.SOCK_STREAM)
	if err != nil {
		return err
	}
	if err := unix.Connect(client, name); err != nil {
		return err
	}
	c, err := p.next()
	if err != nil {
		return err
	}
	p.fds = append(p.fds, int(c.Res))
	if !c.More() {
		return errSingleShot
	}
	return nil
}

func (p *prober) pollMultishot() error {
	a, b, err := p.pair()
	if err != nil {
		return err
	}
	if err := p.start(func(s *SQE) { s.PrepPollMultishot(a, unix.POLLIN) }); err != nil {
		return err
	}
	if _, err := unix.Write(b, probeData); err != nil {
		return err
	}
	c, err := p.next()
	if err == nil && !c.More() {
		err = errSingleShot
	}
	return err
}

func (p *prober) readFixed() error {
	a, b, err := p.pair()
	if err != nil {
		return err
	}
	buf := make([]byte, 64)
	if err := p.ring.RegisterBuffers([][]byte{buf}); err != nil {
		return err
	}
	defer p.ring.UnregisterBuffers()
	if _, err := unix.Write(b, probeData); err != nil {
		return err
	}
	c, err := p.do(func(s *SQE) { s.PrepReadFixed(a, buf, 0, 0) })
	if err == nil && int(c.Res) != len(probeData) {
		err = errWrongResult
	}
	return err
}

// sendZC sends a datagram to the socket's own port.
func (p *prober) sendZC() error {
	fd, name, err := p.loopback(unix.SOCK_DGRAM)
	if err != nil {
		return err
	}
	if err := unix.Connect(fd, name); err != nil {
		return err
	}
	c, err := p.do(func(s *SQE) { s.PrepSendZC(fd, probeData, 0, 0) })
	if err != nil {
		return err
	}
	if !c.More() {
		return errSingleShot
	}
	if c, err = p.next(); err == nil && !c.Notif() {
		err = errWrongResult
	}
	return err
}

func (p *prober) syncCancel() error {
	a, _, err := p.pair()
	if err != nil {
		return err
	}
	if err := p.start(func(s *SQE) { s.PrepRecv(a, make([]byte, 8), 0) }); err != nil {
		return err
	}
	if _, err := p.ring.SyncCancel(p.user, -1, 0, probeTimeout); err != nil {
		return errnoOf(err)
	}
	return p.cancelled()
}

// cancelled expects the started operation's ECANCELED.
func (p *prober) cancelled() error {
	switch _, err := p.next(); err {
	case syscall.ECANCELED:
		return nil
	case nil:
		return errWrongResult
	default:
		return err
	}
}

func (p *prober) cancelFD() error {
	a, _, err := p.pair()
	if err != nil {
		return err
	}
	if err := p.start(func(s *SQE) { s.PrepRecv(a, make([]byte, 8), 0) }); err != nil {
		return err
	}
	c, err := p.do(func(s *SQE) { s.PrepCancelFD(a, CancelAll) })
	if err == nil && c.Res != 1 {
		err = errWrongResult
	}
	if err != nil {
		p.user-- // it is still running
	}
	return err
}

// msgRing sends a message from the ring to itself, under the operation's own user
// data: both the message and the operation complete, in either order.
func (p *prober) msgRing() error {
	const message = 42
	sum := int32(0)
	user := p.user + 1
	err := p.start(func(s *SQE) { s.PrepMsgRing(p.ring.FD(), message, user, 0) })
	for range 2 {
		if err == nil {
			var c CQE
			c, err = p.next()
			sum += c.Res
		}
	}
	if err == nil && sum != message {
		err = errWrongResult
	}
	return err
}

func (p *prober) splice() error {
	in, out, err := p.pipe()
	if err != nil {
		return err
	}
	a, _, err := p.pair()
	if err != nil {
		return err
	}
	if _, err := unix.Write(out, probeData); err != nil {
		return err
	}
	c, err := p.do(func(s *SQE) { s.PrepSplice(in, -1, a, -1, uint32(len(probeData)), 0) })
	if err == nil && int(c.Res) != len(probeData) {
		err = errWrongResult
	}
	return err
}

// waitid waits for this process, which is not its own child: ECHILD shows that the
// operation exists, and no child of the caller's is disturbed.
func (p *prober) waitid() error {
	_, err := p.do(func(s *SQE) {
		s.PrepWaitid(unix.P_PID, unix.Getpid(), nil, unix.WEXITED|unix.WNOHANG, 0)
	})
	if errors.Is(err, syscall.ECHILD) {
		return nil
	}
	return err
}

func (p *prober) directDescriptors() error {
	if err := p.ring.RegisterFiles(2); err != nil {
		return errnoOf(err)
	}
	defer p.ring.UnregisterFiles()
	_, err := p.do(func(s *SQE) {
		s.PrepSocketDirectAlloc(unix.AF_UNIX, unix.SOCK_STREAM, 0, 0)
	})
	return err
}

func (p *prober) socketUnsent() error {
	fd, err := p.socket(unix.AF_INET, unix.SOCK_DGRAM)
	if err != nil {
		return err
	}
	_, err = p.do(func(s *SQE) { s.PrepSocketUnsent(fd) })
	return err
}
