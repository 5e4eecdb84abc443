// Package rig is what the tests below loop/tests share: servers that keep what they
// accept, protocols that write down what they are told, pairs of connected transports,
// certificates, children.
//
// A helper that only the tests of one subject need stays with them. Nothing but tests
// imports this package. A recorder's fields belong to the loop's goroutine; read them in
// looptest.Do. What a helper opens it closes at the end of the test.
package rig
