package subprocess

import (
	"os"
	"syscall"
)

// Options say how a child is started. The zero value connects pipes to its three
// standard streams, as asyncio's default does.
type Options struct {
	// Stdin, Stdout and Stderr are the child's standard streams: Pipe, which is the
	// zero value, Inherit, DevNull, a File, and for Stderr also Stdout.
	Stdin, Stdout, Stderr Stdio

	// Dir is the child's working directory; "" means this process's.
	Dir string

	// Env is the child's environment, "key=value" each; nil means this process's.
	// Where its last PATH is set, the program is looked for there.
	Env []string

	// Executable is the program to run, where that is not the first argument.
	Executable string

	// ExtraFiles become the child's descriptors 3, 4 and so on. They stay the
	// caller's. The child inherits no other descriptor that is close-on-exec, as
	// all of this module's and of Go's own are.
	ExtraFiles []*os.File

	// Attr holds attributes of the operating system: session, process group,
	// credentials and so on. It is not changed; its PidFD is not used. Pdeathsig is
	// of little use, for it acts at the end of the thread that started the child.
	Attr *syscall.SysProcAttr
}

// Stdio is what one of a child's standard streams is connected to. Values can be
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

// What a standard stream can be.
var (
	// Pipe is a pipe to this process, a transport of its own: see
	// SubprocessTransport.PipeTransport. It is the zero value.
	Pipe = Stdio{}

	// Inherit is this process's own stream.
	Inherit = Stdio{kind: inheritStdio}

	// DevNull is the file that is always empty and takes everything.
	DevNull = Stdio{kind: devNullStdio}

	// Stdout, for Stderr alone, is wherever Stdout goes.
	Stdout = Stdio{kind: stdoutStdio}
)

// File is an open file, which stays the caller's.
func File(f *os.File) Stdio { return Stdio{kind: fileStdio, file: f} }

// File returns the file of a Stdio made by the function File, and nil for every other.
func (s Stdio) File() *os.File { return s.file }
