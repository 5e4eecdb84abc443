// Package schedule_test tests the loop itself: callbacks and timers, watched
// descriptors, goroutines, signals, reports, what options may be, which engine serves.
package schedule_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
