//go:build linux

package uring

import (
	"math/bits"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// Options are the options of New; the zero value selects the best that the kernel
// has.
type Options struct {
	// CQEntries is the size of the completion queue, at least that of the
	// submission queue and at most 65536; 0 means twice that of the submission
	// queue. Multishot operations post many completions for one SQE, so make it
	// generous.
	CQEntries uint32
	// Disabled creates the ring without an issuing thread: Enable starts it, called
	// by the thread that is to use it. Until then buffers and files can be
	// registered from any thread. Since Linux 5.10.
	Disabled bool
	// Without holds setup flags (Setup*) not to use even if the kernel has them,
	// for comparison and for tests.
	Without uint32
	// NoRegisteredFD uses the plain descriptor in each io_uring_enter.
	NoRegisteredFD bool
	// System carries out the ring's operations; nil means Linux.
	System System
}

// Setup flags, for Options.Without and Ring.Flags.
const (
	// SetupSubmitAll: a submission continues after an SQE that fails at once. Without
	// it, Submit returns early and Pending is not 0.
	SetupSubmitAll    = iosys.IORING_SETUP_SUBMIT_ALL   // 5.18
	SetupCoopTaskrun  = iosys.IORING_SETUP_COOP_TASKRUN // 5.19
	SetupTaskrunFlag  = iosys.IORING_SETUP_TASKRUN_FLAG // 5.19
	SetupSingleIssuer = setupSingleIssuer               // 6.0
	SetupDeferTaskrun = setupDeferTaskrun               // 6.1
	SetupNoSQArray    = setupNoSQArray                  // 6.6
)

const (
	setupCQSize   = iosys.IORING_SETUP_CQSIZE     // 5.5
	setupDisabled = iosys.IORING_SETUP_R_DISABLED // 5.10

	sqCQOverflow = iosys.IORING_SQ_CQ_OVERFLOW // 5.8

	enterGetEvents = iosys.IORING_ENTER_FLAGS_GETEVENTS
)

// entriesMin is the smallest size to which a ring shrinks when memory is short.
const entriesMin = 16

// closeTimeout bounds how long Close waits for what cannot be cancelled at
// once, such as a read that a kernel worker is busy with.
const closeTimeout = 100 * time.Millisecond

// drops lists what negotiate gives up, one step for each EINVAL, newest first: a
// kernel that lacks a flag has all those listed below the newest that it lacks.
var drops = [...]struct{ off, on uint32 }{
	{off: setupNoSQArray},
	{off: setupDeferTaskrun, on: SetupCoopTaskrun},
	{off: setupSingleIssuer},
	{off: SetupCoopTaskrun | SetupTaskrunFlag},
	{off: SetupSubmitAll},
	{off: setupDisabled},
}

// New creates a ring for entries SQEs, rounded up to a power of 2, at most 32768.
//
// It asks for SINGLE_ISSUER, DEFER_TASKRUN, TASKRUN_FLAG, SUBMIT_ALL and
// NO_SQARRAY, and gives up in a fixed order what the kernel refuses: NO_SQARRAY
// (6.6), DEFER_TASKRUN (6.1; COOP_TASKRUN instead), SINGLE_ISSUER (6.0),
// COOP_TASKRUN and TASKRUN_FLAG (5.19), SUBMIT_ALL (5.18), R_DISABLED (5.10). If
// memory is short it halves the queues, down to 16 entries.
//
// Errors: ErrSize; *NotSupportedError if io_uring is refused or older than Linux
// 5.11; *MemlockError; otherwise an *os.SyscallError, such as EMFILE.
//
// The ring runs with the credentials of the thread that created it. A nil opts
// means the zero Options. Without Options.Disabled the ring belongs to the calling
// thread.
func New(entries uint32, opts *Options) (*Ring, error) {
	if opts == nil {
		opts = &Options{}
	}
	if entries == 0 || entries > entriesMax || opts.CQEntries > cqEntriesMax {
		return nil, ErrSize
	}
	if opts.CQEntries != 0 && opts.CQEntries < entries {
		return nil, ErrSize
	}
	var system System = linux{}
	if opts.System != nil {
		system = opts.System
	}
	var p iosys.IOURingParams
	fd, err := negotiate(system.Setup, entries, opts, &p)
	if err != nil {
		return nil, err
	}
	r := &Ring{
		fd: fd, enterFD: fd, flags: p.Flags, features: p.Features,
		plainFD: opts.NoRegisteredFD, system: system, simulated: opts.System != nil,
	}
	if p.Features&featExtArg == 0 {
		system.Close(fd)
		return nil, notSupported(FeatureExtArg, syscall.EINVAL)
	}
	if errno := allowed(system, fd); errno != 0 {
		system.Close(fd)
		return nil, notSupported(FeatureSetup, errno)
	}
	if err := r.mmap(&p); err != nil {
		system.Close(fd)
		return nil, err
	}
	if err := r.openStage(); err != nil {
		r.unmap()
		system.Close(fd)
		return nil, err
	}
	r.arg.ts = address(unsafe.Pointer(&r.ts))
	if p.Features&featNoIOWait != 0 {
		r.waitFlags = enterNoIOWait
	}
	if !opts.Disabled {
		r.enabled()
	}
	return r, nil
}

// allowed tries io_uring_enter, which a sandbox can refuse even if it allows the
// other calls, including a sandbox that was set up after other rings were created.
func allowed(system System, fd int) syscall.Errno {
	_, errno := system.Enter(fd, 0, 0, 0, nil, 0)
	switch errno {
	case syscall.EPERM, syscall.ENOSYS, syscall.EACCES:
		return errno
	}
	return 0 // for example EBADFD, of a ring that is still disabled
}

// setup is io_uring_setup, or a stand-in.
type setup func(entries uint32, p *iosys.IOURingParams) (int, syscall.Errno)

// negotiate finds flags and sizes that the kernel accepts.
func negotiate(call setup, entries uint32, o *Options, p *iosys.IOURingParams) (int, error) {
	flags := setupNoSQArray | setupDeferTaskrun | setupSingleIssuer |
		SetupTaskrunFlag | SetupSubmitAll
	if o.Without&setupDeferTaskrun != 0 {
		flags |= SetupCoopTaskrun
	}
	if o.Without&setupSingleIssuer != 0 { // DEFER_TASKRUN does not work alone
		flags = flags&^setupDeferTaskrun | SetupCoopTaskrun
	}
	flags = consistent(flags &^ o.Without)
	if o.Disabled {
		flags |= setupDisabled
	}
	size := ringSize{entries, o.CQEntries}
	for step := 0; ; {
		*p = iosys.IOURingParams{Flags: flags, CQEntries: size.cq}
		if size.cq != 0 {
			p.Flags |= setupCQSize
		}
		fd, errno := call(size.sq, p)
		switch {
		case errno == 0:
			return fd, nil
		case errno == syscall.EINVAL:
			var ok bool
			if flags, step, ok = dropNext(flags, step, o.Without); ok {
				continue
			}
		case errno == syscall.ENOMEM && size.sq > entriesMin:
			size = size.half()
			continue
		}
		return -1, setupError(errno, size)
	}
}

// dropNext takes the next step of drops that changes anything.
func dropNext(flags uint32, step int, without uint32) (uint32, int, bool) {
	for ; step < len(drops); step++ {
		d := drops[step]
		if flags&d.off != 0 {
			return consistent(flags&^d.off | d.on&^without), step + 1, true
		}
	}
	return flags, step, false
}

// consistent removes TASKRUN_FLAG if there is no task work to flag.
func consistent(flags uint32) uint32 {
	if flags&(SetupCoopTaskrun|setupDeferTaskrun) == 0 {
		flags &^= SetupTaskrunFlag
	}
	return flags
}

type ringSize struct{ sq, cq uint32 }

func (s ringSize) half() ringSize {
	s.sq = max(s.sq/2, entriesMin)
	if s.cq != 0 {
		s.cq = max(s.cq/2, s.sq)
	}
	return s
}

// bytes estimates what the kernel counts against RLIMIT_MEMLOCK.
func (s ringSize) bytes() uint64 {
	const header = 320
	sq := pow2(s.sq)
	cq := 2 * sq
	if s.cq != 0 {
		cq = pow2(s.cq)
	}
	return pages(sq*64) + pages(header+cq*16+sq*4)
}

func pow2(n uint32) uint64 { return 1 << bits.Len64(uint64(n)-1) }

func pages(n uint64) uint64 {
	size := uint64(os.Getpagesize())
	return (n + size - 1) / size * size
}

// setupError returns the error that explains why there is no ring.
func setupError(errno syscall.Errno, size ringSize) error {
	switch errno {
	case syscall.ENOMEM:
		return memlockError("ring", size.bytes())
	case syscall.EPERM, syscall.ENOSYS, syscall.EACCES, syscall.EINVAL, syscall.EOPNOTSUPP:
		return notSupported(FeatureSetup, errno)
	}
	return syscallError("io_uring_setup", errno)
}

func memlockError(what string, need uint64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return syscallError("getrlimit", errnoOf(err))
	}
	return &MemlockError{What: what, Need: need, Limit: limit.Cur}
}

// mmap maps the queues and finds their parts.
func (r *Ring) mmap(p *iosys.IOURingParams) error {
	size := int(p.CQOffset.Cqes) + int(p.CQEntries)*int(unsafe.Sizeof(CQE{}))
	if p.Flags&setupNoSQArray == 0 {
		size = max(size, int(p.SQOffset.Array)+int(p.SQEntries)*4)
	}
	var errno syscall.Errno
	r.rings, errno = r.system.Map(r.fd, int64(iosys.IORING_OFF_SQ_RING), size)
	if errno != 0 {
		return syscallError("mmap", errno)
	}
	size = int(p.SQEntries) * int(unsafe.Sizeof(SQE{}))
	r.sqesMap, errno = r.system.Map(r.fd, int64(iosys.IORING_OFF_SQES), size)
	if errno != 0 {
		r.system.Unmap(r.rings)
		return syscallError("mmap", errno)
	}
	r.sqEntries, r.cqEntries = p.SQEntries, p.CQEntries
	r.sqMask, r.cqMask = p.SQEntries-1, p.CQEntries-1
	r.sqHead, r.sqTailPub = r.word(p.SQOffset.Head), r.word(p.SQOffset.Tail)
	r.sqFlags, r.sqDropped = r.word(p.SQOffset.Flags), r.word(p.SQOffset.Dropped)
	r.cqHeadPub, r.cqTail = r.word(p.CQOffset.Head), r.word(p.CQOffset.Tail)
	r.cqDropped = r.word(p.CQOffset.Overflow)
	r.sqes = unsafe.Pointer(&r.sqesMap[0])
	r.cqes = unsafe.Pointer(&r.rings[p.CQOffset.Cqes])
	r.sqTail, r.cqHead = atomic.LoadUint32(r.sqTailPub), atomic.LoadUint32(r.cqHeadPub)
	if p.Flags&setupNoSQArray == 0 {
		// The array says which entry comes next: it is always the next one in
		// order.
		for i := range p.SQEntries {
			*r.word(p.SQOffset.Array + 4*i) = i
		}
	}
	return nil
}

func (r *Ring) word(offset uint32) *uint32 {
	return (*uint32)(unsafe.Pointer(&r.rings[offset]))
}
