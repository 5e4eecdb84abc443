package pressure

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The object in the repository is exactly what its sources produce, byte for byte,
// with the compiler that generate.go names.
func TestTheObjectIsThatOfItsSources(t *testing.T) {
	version, err := exec.Command("clang-14", "--version").Output()
	if err != nil || !strings.Contains(string(version), "Debian clang version 14.0.6") {
		t.Skip("needs Debian's clang 14.0.6")
	}
	const header = "/usr/include/bpf/bpf_core_read.h"
	if _, err := os.Stat(header); err != nil {
		t.Skip("needs libbpf-dev 1.1.2")
	}
	source, err := os.ReadFile("generate.go")
	if err != nil {
		t.Fatal(err)
	}
	_, command, found := strings.Cut(string(source), "//go:generate go tool bpf2go ")
	if !found {
		t.Fatal("generate.go does not run bpf2go")
	}
	dir := t.TempDir()
	arguments := append([]string{"tool", "bpf2go", "-output-dir", dir}, strings.Fields(command)...)
	run := exec.Command("go", arguments...)
	run.Env = append(os.Environ(), "GOPACKAGE=pressure")
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"bpf_bpfel.o", "bpf_bpfel.go"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what its sources give: run go generate", name)
		}
	}
}
