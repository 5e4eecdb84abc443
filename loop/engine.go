package loop

import (
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/epoll"
	"github.com/sluice-net/sluice/loop/internal/hook"
	"github.com/sluice-net/sluice/loop/internal/iouring"
	"github.com/sluice-net/sluice/loop/internal/proactor"
)

func init() {
	hook.New = func(engine proactor.Proactor, options any) any {
		o := Options{}
		if given, ok := options.(*Options); ok && given != nil {
			o = *given
		}
		l := prepare(o)
		l.engine, l.kind = engine, sim
		l.why = "sim: made by package looptest"
		if err := l.openPage(); err != nil {
			panic(err)
		}
		l.publishStats()
		return l
	}
}

// sayOnce makes a process with many loops log the fallback to epoll only once.
var sayOnce sync.Once

// chooseEngine makes the engine that the options ask for.
func (l *Loop) chooseEngine() error {
	want, forced, err := l.opts.engineFor()
	if err != nil {
		return err
	}
	cfg := l.engineConfig()
	switch want {
	case Epoll:
		return l.openEpoll(cfg, "epoll: asked for by "+forced)
	case Uring:
		if err := l.openUring(cfg, "io_uring: asked for by "+forced); err != nil {
			return fmt.Errorf("loop: io_uring was asked for by %s: %w", forced, err)
		}
		return nil
	}
	err = l.openUring(cfg, "io_uring: the kernel has what the fast path needs "+
		"(multishot receive, buffer rings, DEFER_TASKRUN) and allows it")
	if err == nil {
		return nil
	}
	if !refused(err) {
		return err
	}
	if cfg.Fallback != nil {
		cfg.Fallback("io_uring", err)
	}
	sayOnce.Do(func() { l.logger().Info("sluice uses epoll instead of io_uring", "why", err) })
	return l.openEpoll(cfg, "epoll: "+err.Error())
}

// refused reports whether to use epoll instead after err: the kernel is too old, or a
// container or limit forbids io_uring.
func refused(err error) bool {
	for _, errno := range []error{syscall.EPERM, syscall.ENOSYS, syscall.EACCES,
		syscall.ENOMEM, syscall.EINVAL, syscall.EOPNOTSUPP, ErrNotSupported} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

func (l *Loop) openUring(cfg proactor.Config, why string) (err error) {
	l.engine, err = iouring.New(cfg)
	l.kind, l.why = Uring, why
	return err
}

func (l *Loop) openEpoll(cfg proactor.Config, why string) (err error) {
	l.engine, err = epoll.New(cfg)
	l.kind, l.why = Epoll, why
	return err
}

func (l *Loop) engineConfig() proactor.Config {
	cfg := proactor.Config{
		Entries:    l.opts.Entries,
		CQEntries:  l.opts.CQEntries,
		BufferSize: l.opts.Buffers.Size,
		BuffersMin: l.opts.Buffers.Min,
		BuffersMax: l.opts.Buffers.Max,
	}
	l.traceEngine(&cfg)
	return cfg.WithDefaults()
}
