// Package pipe_test tests pipes, FIFOs, terminals and other devices.
package pipe_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
