// Package stream gives the connections of a loop the face of package net: [Dial]
// makes a [net.Conn], [Listen] a [net.Listener], [ListenPacket] a [net.PacketConn].
// Code that was written for them, net/http or the driver of a database, runs on a
// loop without a change. It is what asyncio's streams are to its transports.
//
// Each call blocks its caller and no one else. Every method may be called from any
// goroutine; one that would have to wait on the loop's own returns [loop.ErrOnLoop]
// there, but for Close, which never waits. Dial, Listen and ListenPacket run an idle
// loop while they need it. All else needs a loop that is running: with [loop.Run], or
// RunForever on another goroutine.
//
// Data crosses from the loop's thread to the goroutine that reads it and back, which
// costs some microseconds each way where a protocol's callback costs nanoseconds. So
// this is for compatibility and for straight-line code; for speed, write a protocol.
//
// The kernel is asked for nothing on the caller's goroutine. What is written in one
// round of the loop, by however many goroutines, is handed over in one system call.
//
// Deadlines are of the real clock, also over a simulated network.
package stream
