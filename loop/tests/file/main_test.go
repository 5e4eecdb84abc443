// Package file_test tests the sending of files: with sendfile, over TLS, and by
// copying where the transport knows no files.
package file_test

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
