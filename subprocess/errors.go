package subprocess

import "errors"

// The errors of this package. If the operating system fails to start the program,
// the error is a *fs.PathError with ENOENT, EACCES and so on.
var (
	// ErrNoProgram: the arguments are empty, without even the program's name.
	ErrNoProgram = errors.New("subprocess: no program")

	// ErrStdio: Options.Stdin or Options.Stdout is Stdout, or the file of a File is
	// nil.
	ErrStdio = errors.New("subprocess: Stdio of the wrong kind for this stream")

	// ErrSignal: SendSignal was called with a value that is not a signal of this
	// system. It comes with EINVAL.
	ErrSignal = errors.New("subprocess: unknown signal")

	// ErrStolen: something else in this program waited for the child, so its return
	// code is unknown. ReturnCode is then 255, as in asyncio, and the error is
	// passed to the exception handler.
	ErrStolen = errors.New("subprocess: child was waited for by somebody else")
)
