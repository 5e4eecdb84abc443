package epoll

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/leaktest"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/proactor/proactortest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func open(t *testing.T, cfg proactor.Config) proactor.Proactor {
	t.Helper()
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestProactor(t *testing.T) { proactortest.Run(t, open) }

func TestProactorOnTheKernel(t *testing.T) { proactortest.RunKernel(t, open) }
