package result

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Machine is where a run was made.
type Machine struct {
	Kernel     string `json:"kernel"`               // its release
	CPU        string `json:"cpu"`                  // its model
	CPUs       int    `json:"cpus"`                 // that the benchmark may run on
	Virtual    bool   `json:"virtual,omitempty"`    // under a hypervisor
	MemoryMB   int    `json:"memory_mb"`            // of the machine
	Go         string `json:"go"`                   // version, system, architecture
	Network    string `json:"network"`              // whose loopback device
	Congestion string `json:"congestion,omitempty"` // TCP's congestion control
}

// String describes the machine in one line.
func (m Machine) String() string {
	return fmt.Sprintf("Linux %s, %s, %d MiB, %s, %s, TCP %s",
		m.Kernel, m.Processors(), m.MemoryMB, m.Go, m.Network, m.Congestion)
}

// Processors describes the processors.
func (m Machine) Processors() string {
	s := fmt.Sprintf("%s, %d CPUs", m.CPU, m.CPUs)
	if m.CPUs == 1 {
		s = m.CPU + ", 1 CPU"
	}
	if m.Virtual {
		s += " (virtual)"
	}
	return s
}

// ThisMachine describes the machine that it is called on.
func ThisMachine(cpus int, network string) Machine {
	m := Machine{
		CPUs:       cpus,
		Go:         fmt.Sprintf("%s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH),
		Network:    network,
		Congestion: firstLine("/proc/sys/net/ipv4/tcp_congestion_control"),
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	text, _ := os.ReadFile("/proc/cpuinfo")
	m.CPU, m.Virtual = cpuModel(string(text))
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.MemoryMB = int(uint64(info.Totalram) * uint64(info.Unit) >> 20)
	}
	return m
}

// cpuModel reads /proc/cpuinfo. Other architectures than x86 name no model;
// theirs is GOARCH.
func cpuModel(text string) (model string, virtual bool) {
	model = runtime.GOARCH
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		switch key = strings.TrimSpace(key); {
		case key == "model name":
			model = strings.TrimSpace(value)
		case key == "flags" && strings.Contains(value+" ", " hypervisor "):
			virtual = true
		}
	}
	return model, virtual
}

func firstLine(path string) string {
	text, _ := os.ReadFile(path)
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line)
}

// ThisRevision returns the commit that the program was built from, with a plus
// sign if the sources differ from it; "" where that is not known.
func ThisRevision() string {
	info, _ := debug.ReadBuildInfo()
	if info != nil {
		revision, modified := "", false
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				revision = s.Value
			case "vcs.modified":
				modified, _ = strconv.ParseBool(s.Value)
			}
		}
		if revision != "" {
			return mark(revision[:min(len(revision), 12)], modified)
		}
	}
	revision, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return ""
	}
	changes, err := exec.Command("git", "status", "--porcelain").Output()
	return mark(strings.TrimSpace(string(revision)), err != nil || len(changes) > 0)
}

func mark(revision string, modified bool) string {
	if modified {
		return revision + "+"
	}
	return revision
}
