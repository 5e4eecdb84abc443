// Package protocol holds the protocol half of asyncio's low-level contract: the
// callbacks that a transport makes, and no-op bases to embed.
//
// Every callback is called on the goroutine of the transport's loop, one at a
// time. A callback must not block: as long as it runs, nothing else of the loop
// does. Everything may be done inside one, also closing the transport, pausing
// it, replacing its protocol, or stopping the loop.
//
// A callback that panics is reported to the loop's exception handler as a
// *PanicError. A panic in ConnectionMade, DataReceived, GetBuffer,
// BufferUpdated or EOFReceived ends the connection; the others are survived.
package protocol
