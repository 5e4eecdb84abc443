// Package file_test tests the sending of files: sendfile, copying where that cannot be, and over TLS.
package file_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
