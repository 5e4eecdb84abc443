// Package child starts children and makes transports of them: what is behind
// Loop.SubprocessExec. Package subprocess has what programs see of it.
//
// A Child starts its Command off the loop, through its Host, connects the pipes, and
// ends when the process has exited and all pipes are lost. It has no loop and no
// descriptor of its own.
package child
