// Package datagram_test tests datagram endpoints, of UDP and Unix sockets.
package datagram_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
