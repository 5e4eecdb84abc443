// Package unix_test tests Unix stream sockets: their files, names and the passing of descriptors.
package unix_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
