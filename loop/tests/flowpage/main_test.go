// Package flowpage_test tests what a loop writes on its flow page.
package flowpage_test

import (
	"os"
	"testing"

	"github.com/sluice-net/sluice/loop/internal/leaktest"
)

func TestMain(m *testing.M) {
	if parent := os.Getenv(readPagesEnv); parent != "" {
		os.Exit(readPages(parent))
	}
	leaktest.Main(m)
}
