package loop_test

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
