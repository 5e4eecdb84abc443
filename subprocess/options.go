package subprocess

import (
	"os"
	"syscall"
)

// Options configure how a child is started. The zero value connects pipes to its
// three standard streams, as asyncio does by default.
type Options struct {
	// Stdin, Stdout and Stderr are the child's standard streams: Pipe (the zero
	// value), Inherit, DevNull, a File, or, for Stderr only, Stdout.
	Stdin, Stdout, Stderr Stdio

	// Dir is the child's working directory; "" means this process's.
	Dir string

	// Env is the child's environment, each entry "key=value"; nil means this
	// process's. If it sets PATH, the program is looked up in the last value set.
	Env []string

	// Executable is the program to run if it is not the first argument.
	Executable string

	// ExtraFiles become the child's descriptors 3, 4 and so on. They remain the
	// caller's. The child inherits no other descriptor that is close-on-exec, as
	// are all those of this module and of Go itself.
	ExtraFiles []*os.File

	// Attr holds operating system attributes: session, process group, credentials
	// and so on. It is not modified; its PidFD is not used. Pdeathsig is of little
	// use, because it takes effect when the thread that started the child ends.
	Attr *syscall.SysProcAttr
}

// Stdio says what one of a child's standard streams is connected to. Values can be
// compared with ==.
type Stdio struct {
	kind stdioKind
	file *os.File
}

type stdioKind uint8

const (
	pipeStdio stdioKind = iota
	inheritStdio
	devNullStdio
	stdoutStdio
	fileStdio
)

// The values of Stdio other than a File.
var (
	// Pipe is a pipe to this process, with a transport of its own: see
	// SubprocessTransport.PipeTransport. It is the zero value.
	Pipe = Stdio{}

	// Inherit is this process's own stream.
	Inherit = Stdio{kind: inheritStdio}

	// DevNull is /dev/null, which is always empty and discards everything.
	DevNull = Stdio{kind: devNullStdio}

	// Stdout, for Stderr only, is wherever Stdout goes.
	Stdout = Stdio{kind: stdoutStdio}
)

// File returns a Stdio for an open file, which remains the caller's.
func File(f *os.File) Stdio { return Stdio{kind: fileStdio, file: f} }

// File returns the file of a Stdio made by the function File, and nil for any other
// Stdio.
func (s Stdio) File() *os.File { return s.file }
