// Package protocol defines the protocol half of asyncio's low-level contract: the
// callbacks that a transport makes, and no-op types to embed.
//
// Every callback is called on the goroutine of the transport's loop, one at a time.
// A callback must not block: nothing else happens on the loop while it runs. Apart
// from that it may do anything, including closing the transport, pausing it,
// replacing its protocol, or stopping the loop.
//
// A callback that panics is reported to the loop's exception handler as a
// *PanicError. A panic in ConnectionMade, DataReceived, GetBuffer, BufferUpdated or
// EOFReceived ends the connection; after a panic in any other callback the
// connection continues.
package protocol
