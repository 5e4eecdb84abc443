// Package stream_test tests stream transports, mostly by TCP: the conformance kit,
// resets, half-closed peers, buffers, what a round of the loop does.
package stream_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
