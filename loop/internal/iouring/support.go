package iouring

import (
	"errors"

	"github.com/sluice-net/sluice/uring"
)

// errTableFull ends the registration of further memory.
var errTableFull = errors.New("iouring: all 64 slots for registered memory are taken")

// required lists what the engine cannot do without: in effect Linux 6.1. Each
// feature is tried once in this process, because version numbers are unreliable:
// distributions backport features, and sandboxes refuse individual calls.
var required = [...]string{uring.FeatureSetup, uring.FeatureDeferTaskrun,
	uring.FeatureExtArg, uring.FeatureSubmitAll, uring.FeatureCQESkip,
	uring.FeatureBufRing, uring.FeatureRecvMultishot, uring.FeatureAcceptMultishot}

// supported returns an error that says what is missing, why, and what to do about
// it.
func supported() error {
	return uring.ProbeOnce().Missing(required[:]...)
}
