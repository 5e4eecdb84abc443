package child

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/sluice-net/sluice/subprocess"
)

// Command is a program to be started.
type Command struct {
	Args    []string // at least the program's name
	Options subprocess.Options
}

// Process is a child that was started by Command.Start, or by a loop that simulates
// children.
type Process interface {
	// Pid returns its process ID.
	Pid() int

	// PidFD returns the descriptor that becomes readable once the child has exited,
	// which the loop must close, or -1 if there is none.
	PidFD() int

	// TakePipe returns our end of the pipe to the child's descriptor fd, which the
	// caller then owns, or nil if there is none.
	TakePipe(fd int) *os.File

	// ClosePipes closes our ends of the pipes that were not taken.
	ClosePipes()

	// Signal sends a signal. Error: os.ErrProcessDone.
	Signal(sig syscall.Signal) error

	// Wait waits for the exit, which a readable PidFD announces, and reaps. The
	// code is negative for a signal. Error: subprocess.ErrStolen.
	Wait() (code int, err error)

	// State returns what the operating system says about the exit; nil before it,
	// and for a simulated child.
	State() *os.ProcessState
}

// Check returns an error if the command itself is invalid.
func (c *Command) Check() error {
	if len(c.Args) == 0 && c.Options.Executable == "" {
		return subprocess.ErrNoProgram
	}
	for fd, s := range streams(&c.Options) {
		if s == subprocess.Stdout && fd != 2 || s == subprocess.File(nil) {
			return subprocess.ErrStdio
		}
	}
	return nil
}

// IsPipe reports whether there is a pipe to the child's descriptor fd.
func (c *Command) IsPipe(fd int) bool { return streams(&c.Options)[fd] == subprocess.Pipe }

// Merged reports whether the child's standard error output is its standard output.
func (c *Command) Merged() bool { return c.Options.Stderr == subprocess.Stdout }

// streams returns the child's standard streams in the order of their descriptors.
func streams(o *subprocess.Options) [3]subprocess.Stdio {
	return [3]subprocess.Stdio{o.Stdin, o.Stdout, o.Stderr}
}

// Start starts the program. It blocks its caller for as long as fork takes, so it
// must not be called on a loop's goroutine. If it fails, nothing is left behind.
func (c *Command) Start() (Process, error) {
	path, err := c.find()
	if err != nil {
		return nil, err
	}
	p := &process{pidfd: -1}
	files, err := p.connect(&c.Options)
	defer func() {
		for _, f := range files.opened {
			f.Close()
		}
	}()
	if err == nil {
		err = p.start(path, c, append(files.child[:], c.Options.ExtraFiles...))
	}
	if err != nil {
		p.ClosePipes()
		return nil, err
	}
	return p, nil
}

// find returns the path of the program: a name without a slash is looked up in
// PATH, the child's own if its environment has one.
func (c *Command) find() (string, error) {
	if dir := c.Options.Dir; dir != "" {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			err = &fs.PathError{Op: "chdir", Path: dir, Err: syscall.ENOTDIR}
		}
		if err != nil {
			return "", renamed(err, "chdir")
		}
	}
	name := c.Options.Executable
	if name == "" {
		name = c.Args[0]
	}
	if strings.Contains(name, "/") {
		return name, nil
	}
	result := error(syscall.ENOENT)
	for _, dir := range filepath.SplitList(pathOf(c.Options.Env)) {
		if dir == "" {
			dir = "."
		}
		path := filepath.Join(dir, name)
		if !filepath.IsAbs(path) {
			path = "./" + path
		}
		_, err := exec.LookPath(path)
		if err == nil {
			return path, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			result = syscall.EACCES
		}
	}
	return "", &fs.PathError{Op: "exec", Path: name, Err: result}
}

// pathOf returns the PATH in which to look for programs.
func pathOf(env []string) string {
	for _, e := range slices.Backward(env) {
		if path, ok := strings.CutPrefix(e, "PATH="); ok {
			return path
		}
	}
	return os.Getenv("PATH")
}

// renamed sets the operation of a PathError to op.
func renamed(err error, op string) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return &fs.PathError{Op: op, Path: p.Path, Err: p.Err}
	}
	return err
}
