// Package subprocess is asyncio's subprocess transport: a child process, the pipes
// to its standard streams, and the callbacks that tell of both. Start, which is
// Loop.SubprocessExec, and Loop.SubprocessShell start one.
//
// A child is started off the loop, because fork blocks its caller for a quarter of
// a millisecond and more. Its exit is seen by its pidfd; there is no SIGCHLD
// handler, and no other child of the program is touched.
//
//	start -> ConnectionMade
//	      [-> PipeDataReceived | PipeConnectionLost | ProcessExited | Pause | Resume]*
//	      -> ConnectionLost -> end
//
// There is no order between the exit and what the pipes tell, nor between pipes. For
// one pipe, all data comes before its PipeConnectionLost. ConnectionLost follows
// when the child has exited and every pipe is lost: a grandchild that has inherited
// one delays it, but not ProcessExited.
package subprocess
