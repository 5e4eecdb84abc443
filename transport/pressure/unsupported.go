package pressure

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// The capabilities that eBPF needs, by their bits.
const (
	capSysAdmin = 21
	capPerfmon  = 38
	capBPF      = 39
)

const capRemedy = "run as root, or: setcap cap_bpf,cap_perfmon+ep PROGRAM"

// preconditions checks what can be known before anything is loaded.
func preconditions() error {
	if major, minor := kernelVersion(); major < 5 || major == 5 && minor < 15 {
		return &UnsupportedError{Need: fmt.Sprintf(
			"Linux 5.15 or newer, of which 6.1 is the oldest tested: this is %s", release())}
	}
	held, err := capabilities()
	if err != nil || held&(1<<capSysAdmin) != 0 {
		return nil // the kernel will tell
	}
	var lacking []string
	if held&(1<<capBPF) == 0 {
		lacking = append(lacking, "CAP_BPF")
	}
	if held&(1<<capPerfmon) == 0 {
		lacking = append(lacking, "CAP_PERFMON")
	}
	if lacking == nil {
		return nil
	}
	return &UnsupportedError{
		Need: strings.Join(lacking, " and ") + ", which this process lacks: " + capRemedy,
		Err:  unix.EPERM,
	}
}

// capabilities returns the effective capabilities of this process.
func capabilities() (uint64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
		}
	}
	return 0, errors.New("no CapEff in /proc/self/status")
}

// kernelTypes returns the kernel types to match the programs against.
func kernelTypes(o Options) (*btf.Spec, error) {
	if o.KernelTypes != nil {
		return o.KernelTypes, nil
	}
	types, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, &UnsupportedError{
			Need: "the kernel's BTF in /sys/kernel/btf/vmlinux: use a kernel built with " +
				"CONFIG_DEBUG_INFO_BTF, or give one as Options.KernelTypes",
			Err: err,
		}
	}
	return types, nil
}

// refused returns an error that explains why the kernel rejects the iterator.
func refused(err error) error {
	need := "a kernel that takes its programs"
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		need = "the kernel's leave, which a policy (lockdown, a seccomp filter or an LSM) denies" +
			" to a process with CAP_BPF and CAP_PERFMON: ask who runs this machine"
	case errors.Is(err, unix.ENOSYS):
		need = "a kernel with CONFIG_BPF_SYSCALL"
	case errors.Is(err, ebpf.ErrNotSupported):
		need = "a newer kernel: 6.1 is the oldest tested"
	}
	return &UnsupportedError{Need: need, Err: err}
}

// explain returns why a probe did not load, and what may help.
func explain(p probe, err error) (why, remedy string) {
	why = err.Error()
	if p.hook == hookFunction && errors.Is(err, unix.EPERM) {
		return "this machine refuses programs on functions",
			"none but another machine; all other levels work without"
	}
	return why, ""
}

// release returns the release of the running kernel.
func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

func kernelVersion() (major, minor int) {
	if n, _ := fmt.Sscanf(release(), "%d.%d", &major, &minor); n != 2 {
		return 1 << 30, 0 // not known: let the kernel tell
	}
	return major, minor
}
