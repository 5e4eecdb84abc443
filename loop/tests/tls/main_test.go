// Package tls_test tests TLS over streams, and the upgrade of open connections.
package tls_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
