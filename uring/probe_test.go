//go:build linux

package uring

import (
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Every feature that the kernel's version promises is there: otherwise the claim or
// the check is wrong.
func TestFeaturesAreThereFromTheirKernelOn(t *testing.T) {
	features := Probe()
	for _, f := range features {
		t.Log(f)
		if !f.Supported && !refused(f) && kernelAtLeast(t, f.MinKernel) {
			t.Error(f)
		}
	}
	if all := features.Lookup(FeatureSetup); refused(all) {
		t.Skip("needs", all)
	}
}

func TestEveryFeatureHasAVersionAndAnAnswer(t *testing.T) {
	features := Probe()
	if len(features) != len(minKernels) {
		t.Errorf("%d features, %d versions", len(features), len(minKernels))
	}
	for _, f := range features {
		if f.MinKernel == "" || f.MinKernel != minKernels[f.Name] {
			t.Errorf("%+v", f)
		}
		if f.Supported != (f.Err == nil) || f.Supported != (f.Remedy == "") {
			t.Errorf("%+v", f)
		}
		if !strings.HasPrefix(f.String(), f.Name+": ") {
			t.Error(f)
		}
	}
}

func TestProbeLeavesNothingOpenAndRunsAnywhere(t *testing.T) {
	ProbeOnce()
	before := openDescriptors()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { Probe() })
	}
	wg.Wait()
	Probe()
	if after := openDescriptors(); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("open before: %q, after: %q", before, after)
	}
}

func TestMissingFeatureSaysWhyAndWhatToDo(t *testing.T) {
	for _, test := range []struct {
		errno  syscall.Errno
		remedy string
	}{
		{syscall.EPERM, "seccomp"}, {syscall.EPERM, "kernel.io_uring_disabled"},
		{syscall.EACCES, "policy"}, {syscall.ENOSYS, "CONFIG_IO_URING"},
		{syscall.ENOMEM, "RLIMIT_MEMLOCK"}, {syscall.EMFILE, "RLIMIT_NOFILE"},
		{syscall.ENETUNREACH, "loopback"}, {syscall.EINVAL, "newer kernel"},
	} {
		f := newFeature(FeatureSendZC, test.errno)
		if f.Supported || !strings.Contains(f.Remedy, test.remedy) {
			t.Errorf("%v: %q", test.errno, f.Remedy)
		}
		fs := Features{f}
		err := fs.Missing(FeatureSendZC)
		if fs.Has(FeatureSendZC) || !errors.Is(err, ErrNotSupported) ||
			!errors.Is(err, test.errno) || !strings.Contains(err.Error(), "6.0") {
			t.Errorf("%v: %v", test.errno, err)
		}
		s := f.String()
		if !strings.Contains(s, test.errno.Error()) || !strings.Contains(s, "6.0") {
			t.Error(s)
		}
	}
}

func TestUnknownFeatureIsNotSupported(t *testing.T) {
	if (Features{}).Has("teleportation") {
		t.Error("it is")
	}
}

func BenchmarkProbe(b *testing.B) {
	for b.Loop() {
		Probe()
	}
}
