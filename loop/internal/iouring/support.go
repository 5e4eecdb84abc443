package iouring

import (
	"errors"

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
	return uring.ProbeOnce().Missing(required[:]...)
}
