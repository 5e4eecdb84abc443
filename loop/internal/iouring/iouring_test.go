package iouring

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/leaktest"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/proactor/proactortest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func open(t *testing.T, cfg proactor.Config) proactor.Proactor {
	t.Helper()
	p, err := New(cfg)
	if err != nil {
		t.Skip("needs io_uring:", err)
	}
	return p
}

func TestContract(t *testing.T) { proactortest.Run(t, open) }

func TestContractOnAKernel(t *testing.T) { proactortest.RunKernel(t, open) }
