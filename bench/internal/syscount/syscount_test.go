package syscount

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/bench/internal/leaktest"
)

const childEnv = "SYSCOUNT_TEST_CHILD"

// calls is how many system calls the child makes for each line that it gets,
// besides those for the line.
const calls = 10000

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			for range calls {
				unix.Getppid()
			}
			os.Stdout.WriteString("done\n")
		}
		return
	}
	leaktest.Main(m)
}

func TestCountsWhatTheOtherProcessCalls(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	work := func() {
		io.WriteString(in, "go\n")
		if _, err := io.ReadFull(out, make([]byte, len("done\n"))); err != nil {
			t.Fatal(err)
		}
	}
	work() // it is up
	c, err := Open(cmd.Process.Pid)
	if err != nil {
		t.Skipf("needs CAP_PERFMON and tracefs: %v", err)
	}
	defer c.Close()
	for round := int64(1); round <= 3; round++ {
		work()
		n, err := c.Count()
		if err != nil {
			t.Fatal(err)
		}
		if n < round*calls || n > round*calls*11/10 {
			t.Errorf("after %d rounds of %d calls the count is %d", round, calls, n)
		}
	}
}

func TestANonexistentProcessIsAnError(t *testing.T) {
	if c, err := Open(1 << 30); err == nil {
		c.Close()
		t.Error("Open counts the calls of a process that does not exist")
	}
}
