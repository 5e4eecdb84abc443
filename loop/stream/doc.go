// Package stream gives the connections of a loop the interfaces of package net: [Dial]
// returns a [net.Conn], [Listen] a [net.Listener] and [ListenPacket] a [net.PacketConn].
// Code that was written for them, such as net/http or a database driver, runs on a loop
// unchanged. The package is to transports what asyncio's streams are to asyncio's
// transports.
//
// Each call blocks only its caller. Every method may be called from any goroutine. On the
// loop's own goroutine, a method that would have to wait returns [loop.ErrOnLoop]; Close
// never waits. Dial, Listen and ListenPacket run an idle loop while they need it.
// Everything else needs a running loop: use [loop.Run], or RunForever on another
// goroutine.
//
// Data crosses from the loop's thread to the goroutine that reads it and back, which
// costs a few microseconds each way; a protocol's callback costs nanoseconds. So this
// package is for compatibility and for straight-line code; for speed, write a protocol.
//
// No system call on the connection is made on the caller's goroutine. What is written
// during one round of the loop, by however many goroutines, is passed to the kernel in
// one system call.
//
// Deadlines use the real clock, even over a simulated network.
package stream
