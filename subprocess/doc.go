// Package subprocess is asyncio's subprocess transport: a child process, the pipes
// to its standard streams, and the callbacks that report on both. A child is
// started by Start, which is Loop.SubprocessExec, or by Loop.SubprocessShell.
//
// A child is started off the loop, because fork blocks its caller for a quarter of
// a millisecond or more. Its exit is observed through its pidfd; there is no
// SIGCHLD handler, and no other child of the program is affected.
//
//	start -> ConnectionMade
//	      [-> PipeDataReceived | PipeConnectionLost | ProcessExited | Pause | Resume]*
//	      -> ConnectionLost -> end
//
// The exit and the events of the pipes come in no particular order, nor do the
// events of different pipes. For any one pipe, all data comes before its
// PipeConnectionLost. ConnectionLost follows once the child has exited and every
// pipe is lost: a grandchild that has inherited a pipe delays it, but does not
// delay ProcessExited.
package subprocess
