// Package transporttest provides what is needed to test transports and protocols.
//
// Recorder is a protocol that records every callback and checks that they come in
// an order that the contract allows. NewTransport returns an in-memory transport,
// for testing a protocol without a loop. TestTransport is the conformance kit: it
// has one case for each statement of the contract (docs/contract.md) that a stream
// transport can show, and runs against any of them.
package transporttest
