package child

import (
	"os"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/subprocess"
)

// A kernel that refuses CLONE_PIDFD, as an imitated one may, starts children without.
func TestChildStartsWithoutPidfdWhereTheKernelKnowsNone(t *testing.T) {
	tries := 0
	startProcess = func(name string, args []string, attr *os.ProcAttr) (*os.Process, error) {
		tries++
		if attr.Sys.PidFD != nil {
			return nil, &os.PathError{Op: "fork/exec", Path: name, Err: syscall.EINVAL}
		}
		return os.StartProcess(name, args, attr)
	}
	defer func() { startProcess = os.StartProcess }()
	c := Command{Args: []string{"/bin/sh", "-c", "exit 3"},
		Options: subprocess.Options{Stdin: subprocess.DevNull,
			Stdout: subprocess.DevNull, Stderr: subprocess.DevNull}}
	p, err := c.Start()
	if err != nil {
		t.Fatal(err)
	}
	if code, err := p.Wait(); code != 3 || err != nil || p.PidFD() != -1 || tries != 2 {
		t.Errorf("code %d, %v, pidfd %d, %d tries", code, err, p.PidFD(), tries)
	}
}
