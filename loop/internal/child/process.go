package child

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"github.com/sluice-net/sluice/subprocess"
)

// process is a child process of the operating system.
type process struct {
	os    *os.Process
	pidfd int
	pipes [3]*os.File // our ends, until they are taken

	once  sync.Once // guards the wait
	state *os.ProcessState
	code  int
	err   error
}

// stdio is what a child gets, and which of that is closed once it has it.
type stdio struct {
	child  [3]*os.File
	opened []*os.File
}

// connect opens what the standard streams are connected to.
func (p *process) connect(o *subprocess.Options) (stdio, error) {
	var s stdio
	own := [3]*os.File{os.Stdin, os.Stdout, os.Stderr}
	for fd, stream := range streams(o) {
		var err error
		switch stream {
		case subprocess.Pipe:
			p.pipes[fd], s.child[fd], err = newPipe(fd == 0)
		case subprocess.Inherit:
			s.child[fd] = own[fd]
		case subprocess.DevNull:
			s.child[fd], err = os.OpenFile(os.DevNull, os.O_RDWR, 0)
		case subprocess.Stdout:
			s.child[fd] = s.child[1]
		default:
			s.child[fd] = stream.File()
		}
		if err != nil {
			return s, err
		}
		if stream == subprocess.Pipe || stream == subprocess.DevNull {
			s.opened = append(s.opened, s.child[fd])
		}
	}
	return s, nil
}

// newPipe creates a pipe, close-on-exec. Our end is non-blocking; the child's end
// blocks, as children expect.
func newPipe(childReads bool) (ours, childs *os.File, err error) {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	mine, its := fds[0], fds[1]
	if childReads {
		mine, its = its, mine
	}
	if err := syscall.SetNonblock(mine, true); err != nil {
		syscall.Close(mine)
		syscall.Close(its)
		return nil, nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(mine), "|"), os.NewFile(uintptr(its), "|"), nil
}

// start forks.
func (p *process) start(path string, c *Command, files []*os.File) (err error) {
	var attr syscall.SysProcAttr
	if c.Options.Attr != nil {
		attr = *c.Options.Attr
	}
	attr.PidFD = &p.pidfd
	args := c.Args
	if len(args) == 0 {
		args = []string{path}
	}
	set := &os.ProcAttr{Dir: c.Options.Dir, Env: c.Options.Env, Files: files, Sys: &attr}
	p.os, err = startProcess(path, args, set)
	if errors.Is(err, syscall.EINVAL) {
		// An imitated kernel, such as qemu's user mode, may not know CLONE_PIDFD.
		p.pidfd, attr.PidFD = -1, nil
		p.os, err = startProcess(path, args, set)
	}
	if err != nil {
		p.pidfd = -1
	}
	return err
}

// startProcess is os.StartProcess, or a stand-in.
var startProcess = os.StartProcess

// Pid implements Process.
func (p *process) Pid() int { return p.os.Pid }

// PidFD implements Process.
func (p *process) PidFD() int { return p.pidfd }

// TakePipe implements Process.
func (p *process) TakePipe(fd int) *os.File {
	f := p.pipes[fd]
	p.pipes[fd] = nil
	return f
}

// ClosePipes implements Process.
func (p *process) ClosePipes() {
	for fd := range p.pipes {
		if f := p.TakePipe(fd); f != nil {
			f.Close()
		}
	}
}

// Signal implements Process. With a pidfd behind it, it cannot reach another
// process that has reused the child's ID.
func (p *process) Signal(sig syscall.Signal) error { return p.os.Signal(sig) }

// Wait implements Process.
func (p *process) Wait() (int, error) {
	p.once.Do(func() {
		p.state, p.err = p.os.Wait()
		if p.err != nil {
			_ = p.os.Release() // the descriptor; Wait releases it only if it succeeds
		}
		switch {
		case errors.Is(p.err, syscall.ECHILD):
			p.code, p.err = codeUnknown, subprocess.ErrStolen
		case p.err != nil:
			p.code = codeUnknown
		default:
			p.code = codeOf(p.state)
		}
	})
	return p.code, p.err
}

// State implements Process.
func (p *process) State() *os.ProcessState { return p.state }

// codeUnknown is the return code of a child whose real one is not known, as in
// asyncio.
const codeUnknown = 255

// codeOf returns the exit code, or the negated number of the signal that ended it.
func codeOf(s *os.ProcessState) int {
	if status, ok := s.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return -int(status.Signal())
	}
	return s.ExitCode()
}
