// Package stream_test tests stream transports where it does not matter what they are of: the conformance
// kit on TCP, resets, half-closed peers, buffers, what a round does.
package stream_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
