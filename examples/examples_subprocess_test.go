package examples_test

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestSubprocessDate(t *testing.T) {
	need(t, "date")
	bin := build(t, "subprocess-date")
	engines(t, func(t *testing.T, env []string) {
		out := run(t, append(env, "LC_ALL=C"), nil, bin)
		contains(t, out, "Current date: ", time.Now().Format("2006"))
	})
}

func TestSubprocessDateWithoutDate(t *testing.T) {
	bin := build(t, "subprocess-date")
	cmd := exec.Command(bin)
	cmd.Env = append(os.Environ(), "PATH=/nowhere")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Error("it found a date where there is none")
	}
	contains(t, string(out), "exec date: no such file or directory")
}
