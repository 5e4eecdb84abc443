package iouring

import (
	"errors"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/uring"
)

// errTableFull ends the registration of further memory.
var errTableFull = errors.New("iouring: all 64 slots for registered memory are taken")

// required is what the engine cannot do without: in effect Linux 6.1. Each was
// tried once in this process, because version numbers lie: distributions carry
// features back, and sandboxes refuse single calls.
var required = [...]string{uring.FeatureSetup, uring.FeatureDeferTaskrun,
	uring.FeatureExtArg, uring.FeatureSubmitAll, uring.FeatureCQESkip,
	uring.FeatureBufRing, uring.FeatureRecvMultishot, uring.FeatureAcceptMultishot}

// supported says what is missing, why, and what to do about it.
func supported() error {
	if err := uring.ProbeOnce().Missing(required[:]...); err != nil {
		return &unsupported{err}
	}
	return nil
}

// unsupported is an error of package uring that proactor.ErrNotSupported matches.
type unsupported struct{ err error }

// Error is the error's own text, which has the reason and the remedy.
func (u *unsupported) Error() string { return u.err.Error() }

// Unwrap returns the error.
func (u *unsupported) Unwrap() error { return u.err }

// Is matches proactor.ErrNotSupported.
func (u *unsupported) Is(target error) bool { return target == proactor.ErrNotSupported }
