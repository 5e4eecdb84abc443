// Package outside makes contestants of programs that are not Go's: a server in C,
// which is built when it is asked for, and HAProxy, where it is installed. Each is
// a process below the one that speaks for it, on the same CPU.
package outside

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// A program is what a contestant runs.
type program struct {
	cmd    *exec.Cmd
	stderr tail
}

// start runs cmd, which ends when the calling thread does: its goroutine must be
// locked to it.
func start(cmd *exec.Cmd) (*program, error) {
	p := &program{cmd: cmd}
	cmd.Stderr = &p.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return p, nil
}

// wait returns how the program ended; it should not have.
func (p *program) wait() error {
	err := p.cmd.Wait()
	if err == nil {
		err = errors.New("it ended")
	}
	return fmt.Errorf("outside: %s: %w%s", p.cmd.Path, err, p.stderr.text())
}

// kill ends the program.
func (p *program) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// serve starts a program, says where it listens, and waits until it ends, which
// it does with the process at the latest.
func serve(cmd *exec.Cmd, listens func(*program) (contest.Hello, error),
	ready func(contest.Hello)) error {
	runtime.LockOSThread()
	p, err := start(cmd)
	if err != nil {
		return err
	}
	hello, err := listens(p)
	if err != nil {
		p.kill()
		return fmt.Errorf("outside: %s: %w%s", cmd.Path, err, p.stderr.text())
	}
	hello.Pid, hello.Uncounted = cmd.Process.Pid, true
	ready(hello)
	return p.wait()
}

// A tail keeps the beginning of what a program complains of.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailSize = 4 << 10

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p[:min(len(p), max(tailSize-t.buf.Len(), 0))])
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := strings.TrimSpace(t.buf.String()); text != "" {
		return ": " + text
	}
	return ""
}
