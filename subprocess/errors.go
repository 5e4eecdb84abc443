package subprocess

import "errors"

// The errors of this package. What the operating system says to the start of a
// program is a *fs.PathError: ENOENT, EACCES and so on.
var (
	// ErrNoProgram: there is no argument, not even the program's name.
	ErrNoProgram = errors.New("subprocess: no program")

	// ErrStdio: Options.Stdin or Options.Stdout is Stdout, or a File is nil.
	ErrStdio = errors.New("subprocess: a standard stream cannot be that")

	// ErrSignal: SendSignal of what is no signal of this system. It comes with
	// EINVAL.
	ErrSignal = errors.New("subprocess: unknown signal")

	// ErrStolen: somebody else has waited for the child, so that its return code
	// is not known. ReturnCode is 255 then, as in asyncio, and the exception
	// handler is told.
	ErrStolen = errors.New("subprocess: child was waited for by somebody else")
)
