package iouring

import (
	"errors"
	"fmt"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/uring"
)

// errTableFull ends the registration of further memory.
var errTableFull = errors.New("iouring: all 64 slots for registered memory are taken")

// check says what a ring lacks that the engine cannot do without.
func check(r *uring.Ring) error {
	if !r.HasDeferTaskrun() {
		return fmt.Errorf("iouring: DEFER_TASKRUN is %w by this kernel; use Linux 6.1 or newer",
			proactor.ErrNotSupported)
	}
	return nil
}
