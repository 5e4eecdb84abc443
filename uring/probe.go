//go:build linux

package uring

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Feature is what Probe found out about one capability of io_uring.
type Feature struct {
	Name      string // one of Feature*
	Supported bool
	Err       error  // nil, or a *NotSupportedError that wraps what was seen, usually an errno
	MinKernel string // the first Linux that has it, such as "6.1"
	Remedy    string // what to do about Err
}

// String returns a line such as "multishot accept: no: invalid argument (…)".
func (f Feature) String() string {
	if f.Supported {
		return f.Name + ": yes"
	}
	return fmt.Sprintf("%s: no: %v (since Linux %s; %s)",
		f.Name, errors.Unwrap(f.Err), f.MinKernel, f.Remedy)
}

// Features is the result of Probe, in the order of the Feature* constants.
type Features []Feature

// Lookup returns the feature called name. An unknown one is not supported.
func (f Features) Lookup(name string) Feature {
	i := slices.IndexFunc(f, func(x Feature) bool { return x.Name == name })
	if i < 0 {
		return newFeature(name, errNotProbed)
	}
	return f[i]
}

// Has reports whether all the named features are supported.
func (f Features) Has(names ...string) bool { return f.Missing(names...) == nil }

// Missing returns the *NotSupportedError of the first of names that is not
// supported, or nil if all are.
func (f Features) Missing(names ...string) error {
	for _, name := range names {
		if x := f.Lookup(name); !x.Supported {
			return x.Err
		}
	}
	return nil
}

// String returns one line for each feature.
func (f Features) String() string {
	var b strings.Builder
	for _, x := range f {
		b.WriteString(x.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// Reasons for a missing feature when there is no errno that says so.
var (
	errNotProbed    = errors.New("unknown feature")
	errSingleShot   = errors.New("accepted, but it completes only once")
	errNoCompletion = errors.New("no completion")
	errCompletion   = errors.New("a completion that should have been suppressed")
	errWrongResult  = errors.New("an unexpected result")
	errNotOffered   = errors.New("not among the kernel's features")
)

// Probe finds out what io_uring can do here, by doing each thing once on sockets of
// its own: version numbers are unreliable, because distributions backport features
// and sandboxes refuse them. It takes a few milliseconds, may be called from any
// goroutine, and leaves nothing open.
//
// If io_uring as a whole is refused, every feature has that reason.
func Probe() Features {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ring, err := New(probeEntries, nil)
	if err != nil {
		var not *NotSupportedError
		if errors.As(err, &not) {
			err = not.Err
		}
		return allFor(err)
	}
	p := &prober{ring: ring}
	var out Features
	if err := p.run(nop); err != nil {
		out = allFor(err)
	} else {
		for _, c := range checks {
			out = append(out, newFeature(c.name, p.run(c.do)))
		}
	}
	_ = ring.Close() // it undoes what was done above, so it has no error to report
	return out
}

// allFor returns every feature with the same reason.
func allFor(err error) Features {
	var out Features
	for _, c := range checks {
		out = append(out, newFeature(c.name, err))
	}
	return out
}

// ProbeOnce calls Probe the first time and returns the same result from then on.
func ProbeOnce() Features { return slices.Clone(probeOnce()) }

var probeOnce = sync.OnceValue(Probe)

func newFeature(name string, err error) Feature {
	f := Feature{Name: name, MinKernel: minKernels[name], Supported: err == nil}
	if err != nil {
		f.Err = notSupported(name, err)
		f.Remedy = remedy(err)
	}
	return f
}

const (
	probeEntries = 16
	probeTimeout = time.Second // for what should take microseconds
)

// prober runs one check after another on one ring.
type prober struct {
	ring  *Ring
	user  uint64 // user data of the current operation
	fds   []int  // to be closed at the end of the check
	bufs  *BufRing
	group uint16
}

// run runs a check and cleans up after it.
func (p *prober) run(check func(*prober) error) error {
	err := check(p)
	p.cancel()
	if p.bufs != nil {
		if cerr := p.bufs.Close(); err == nil {
			err = cerr
		}
		p.bufs = nil
	}
	for _, fd := range p.fds {
		unix.Close(fd)
	}
	p.fds = p.fds[:0]
	return err
}

// start submits one operation.
func (p *prober) start(prep func(*SQE)) error {
	s := p.ring.SQE()
	if s == nil {
		return ErrBusy
	}
	p.user++
	prep(s)
	s.SetUserData(p.user)
	_, err := p.ring.Submit()
	return err
}

// next waits for a completion of the operation that was started last. A negative
// Res is returned as an error.
func (p *prober) next() (CQE, error) {
	for end := time.Now().Add(probeTimeout); ; {
		for c := range p.ring.CQEs() {
			if c.UserData == p.user {
				return c, errnoOrNil(c)
			}
		}
		left := time.Until(end)
		if left <= 0 {
			return CQE{}, errNoCompletion
		}
		if _, err := p.ring.SubmitAndWait(1, left); err != nil && err != ErrTimeout {
			return CQE{}, err
		}
	}
}

func errnoOrNil(c CQE) error {
	if errno := c.Errno(); errno != 0 {
		return errno
	}
	return nil
}

// do submits one operation and waits for its first completion.
func (p *prober) do(prep func(*SQE)) (CQE, error) {
	if err := p.start(prep); err != nil {
		return CQE{}, err
	}
	return p.next()
}

// cancel ends the operation that was started last, if it is still running.
func (p *prober) cancel() {
	target := p.user
	if _, err := p.do(func(s *SQE) { s.PrepCancel(target, 0) }); err == nil {
		_, _ = p.ring.EnterNB() // nobody wants its last completion
	}
	p.ring.Advance(p.ring.Ready())
}

// pair returns two connected sockets.
func (p *prober) pair() (a, b int, err error) { return p.pairOf(unix.SOCK_STREAM) }

func (p *prober) pairOf(typ int) (a, b int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, -1, err
	}
	p.fds = append(p.fds, fds[0], fds[1])
	return fds[0], fds[1], nil
}

// pipe returns the two ends of a pipe.
func (p *prober) pipe() (r, w int, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return -1, -1, err
	}
	p.fds = append(p.fds, fds[0], fds[1])
	return fds[0], fds[1], nil
}

// socket returns a new socket, which run closes.
func (p *prober) socket(domain, typ int) (int, error) {
	fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		p.fds = append(p.fds, fd)
	}
	return fd, err
}

// tcpPair returns two connected TCP sockets.
func (p *prober) tcpPair() (a, b int, err error) {
	fd, name, err := p.loopback(unix.SOCK_STREAM)
	if err != nil {
		return -1, -1, err
	}
	if err := unix.Listen(fd, 1); err != nil {
		return -1, -1, err
	}
	b, err = p.socket(unix.AF_INET, unix.SOCK_STREAM)
	if err != nil {
		return -1, -1, err
	}
	if err := unix.Connect(b, name); err != nil && err != unix.EINPROGRESS {
		return -1, -1, err
	}
	c, err := p.do(func(s *SQE) { s.PrepAccept(fd, nil, nil, unix.SOCK_CLOEXEC) })
	if err != nil {
		return -1, -1, err
	}
	p.fds = append(p.fds, int(c.Res))
	return int(c.Res), b, nil
}

// loopback returns a socket bound to a loopback port, and its address.
func (p *prober) loopback(typ int) (int, unix.Sockaddr, error) {
	fd, err := p.socket(unix.AF_INET, typ)
	if err != nil {
		return -1, nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return -1, nil, err
	}
	name, err := unix.Getsockname(fd)
	return fd, name, err
}

// buffers registers a group of four buffers of 64 bytes, all in circulation. It is
// a new group each time, because of what BufRing.Close says about Linux 6.1.
func (p *prober) buffers(incremental bool) error {
	var err error
	p.group++
	p.bufs, err = p.ring.RegisterBufRingWith(p.group,
		BufRingOptions{Count: 4, Size: 64, Start: 4, Incremental: incremental})
	var not *NotSupportedError
	if errors.As(err, &not) {
		return not.Err
	}
	return err
}
