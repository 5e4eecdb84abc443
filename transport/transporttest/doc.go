// Package transporttest holds what is needed to test transports and protocols.
//
// Recorder is a protocol that writes down every callback and checks that they
// come in the order which the contract allows. NewTransport makes a transport
// in memory, to test a protocol without a loop. TestTransport is the conformance
// kit: one case for each statement of the contract (docs/contract.md) that a stream
// transport can show, run against any of them.
package transporttest
