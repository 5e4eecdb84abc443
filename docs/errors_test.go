package docs

import (
	"errors"
	"fmt"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/uring"
)

// Whatever is not supported can be asked for in one way.
func TestWhatIsNotSupportedIsErrUnsupported(t *testing.T) {
	for _, err := range []error{
		loop.ErrNotSupported, uring.ErrNotSupported, transport.ErrNoHalfClose,
		&uring.NotSupportedError{Feature: uring.FeatureSendZC},
		fmt.Errorf("wrapped: %w", &uring.NotSupportedError{}),
		&pressure.UnsupportedError{Need: "more"},
	} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%T %v is not errors.ErrUnsupported", err, err)
		}
	}
	if loop.ErrNotSupported != uring.ErrNotSupported {
		t.Error("there are two sentinels")
	}
}
