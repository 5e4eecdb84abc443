package contest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Process is a server that runs in a process of its own.
type Process struct {
	Hello

	// GOMAXPROCS is how many threads of the server run Go code at once.
	GOMAXPROCS int

	// Page is shared with the process. Stop unmaps it.
	Page *Page

	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *json.Decoder
	file   *os.File
	stderr tail
}

// ErrUnavailable is wrapped by errors of servers that cannot run on this
// machine: an engine that the kernel lacks or forbids.
var ErrUnavailable = errors.New("not to be had on this machine")

// A Spec says what to start.
type Spec struct {
	Server string // its name
	Mode   Mode   // Task.Mode
	Target string // Task.Target
	Size   int    // Task.Size

	// CPU is where the process stays, which makes GOMAXPROCS 1; -1: anywhere.
	CPU int

	// Program is the file that has the server; empty: the calling program.
	Program string
}

// Start runs a server. The calling goroutine must be locked to its thread: the
// process is in its thread's network namespace.
func Start(spec Spec) (*Process, error) {
	exe := spec.Program
	if exe == "" {
		var err error
		if exe, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	page, file, err := newPage()
	if err != nil {
		return nil, err
	}
	p := &Process{Page: page, file: file}
	p.cmd = exec.Command(exe, Command, spec.Server, string(spec.Mode), spec.Target,
		strconv.Itoa(spec.Size))
	p.cmd.ExtraFiles = []*os.File{file}
	p.cmd.Stderr = &p.stderr
	if err := p.start(spec.CPU); err != nil {
		p.release()
		return nil, err
	}
	var a answer
	if err := p.out.Decode(&a); err != nil {
		return nil, errors.Join(fmt.Errorf("start server %s: %w", spec.Server, err), p.Stop())
	}
	if a.Error != "" {
		p.Stop()
		return nil, fmt.Errorf("%w: %s", ErrUnavailable, a.Error)
	}
	p.Hello, p.GOMAXPROCS = a.Hello, a.GOMAXPROCS
	return p, nil
}

func (p *Process) start(cpu int) (err error) {
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.out = json.NewDecoder(out)
	if cpu < 0 {
		return p.cmd.Start()
	}
	return OnCPU(cpu, p.cmd.Start)
}

// OnCPU calls f while the calling thread may run on one CPU only. Processes and
// threads that f starts stay there.
func OnCPU(cpu int, f func() error) error {
	var old, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		return os.NewSyscallError("sched_getaffinity", err)
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return os.NewSyscallError("sched_setaffinity", err)
	}
	err := f()
	return errors.Join(err, os.NewSyscallError("sched_setaffinity",
		unix.SchedSetaffinity(0, &old)))
}

// Pid is the id of the process that serves.
func (p *Process) Pid() int {
	if p.Hello.Pid != 0 {
		return p.Hello.Pid
	}
	return p.cmd.Process.Pid
}

// Foreign reports that what serves is another program, which knows nothing of
// the bench.
func (p *Process) Foreign() bool { return p.Hello.Pid != 0 }

// CPU returns the time for which the process's threads have run, in user and
// kernel mode. It does not disturb them. A thread that runs at this moment is
// behind by up to a scheduler's tick; one that sleeps is exact.
func (p *Process) CPU() (time.Duration, error) {
	// clock_getcpuclockid(3): the complement of the pid, then CPUCLOCK_SCHED.
	clock := int32(^p.Pid()<<3 | 2)
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return time.Duration(ts.Nano()), nil
}

// Mallocs returns how many heap objects the process has allocated.
func (p *Process) Mallocs() (uint64, error) {
	a, err := p.ask(askMallocs)
	return a.Mallocs, err
}

// Work has a server of a mode without connections work for some time, and returns how
// often it did what the mode is about.
func (p *Process) Work(d time.Duration) (int64, error) {
	a, err := p.ask(askWork + d.String())
	return a.Worked, err
}

// A Footprint is the memory of a process.
type Footprint struct {
	RSS  int64 // bytes resident
	Heap int64 // bytes of Go objects
}

// Footprint returns the memory that the process holds after it has collected its
// garbage and given free memory back.
func (p *Process) Footprint() (f Footprint, err error) {
	a, err := p.ask(askTrim)
	if err != nil {
		return f, err
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.Pid()))
	if err != nil {
		return f, err
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return f, fmt.Errorf("read the memory of server %d: %w", p.Pid(), err)
	}
	return Footprint{RSS: resident * int64(os.Getpagesize()), Heap: int64(a.Heap)}, nil
}

func (p *Process) ask(question string) (a answer, err error) {
	if _, err = io.WriteString(p.in, question+"\n"); err == nil {
		err = p.out.Decode(&a)
	}
	if err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	if err != nil {
		return a, fmt.Errorf("ask server %d: %w%s", p.Pid(), err, p.stderr.last())
	}
	return a, nil
}

// Stop ends the process and waits until it is gone. It returns how the process
// ended, if not in good order.
func (p *Process) Stop() error {
	p.in.Close()
	err := p.cmd.Wait()
	p.release()
	if err != nil {
		return fmt.Errorf("server ended: %w%s", err, p.stderr.last())
	}
	return nil
}

func (p *Process) release() {
	p.file.Close()
	p.Page.unmap()
}

// A tail keeps the end of what a process writes to standard error.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if extra := t.buf.Len() - tailSize; extra > 0 {
		t.buf.Next(extra)
	}
	return len(p), nil
}

// last returns what was kept, to be put at the end of an error.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := strings.TrimSpace(t.buf.String()); text != "" {
		return ": " + text
	}
	return ""
}
