// Package relay_test tests relays: what they pass on, what ends them, and what they hold.
package relay_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
