// Package child starts child processes and provides their transports: it implements
// Loop.SubprocessExec. Package subprocess has the part that programs see.
//
// A Child starts its Command off the loop, through its Host, connects the pipes,
// and ends when the process has exited and all pipes are lost. It has no loop and
// no descriptor of its own.
package child
