// Package oracletest holds scripted scenarios, what CPython's asyncio does in each
// of them, and a runner that puts a loop of this module through the same script
// and compares.
//
// A scenario (directory scenarios) has a subject, which is a transport with a
// scripted protocol, and a peer, which is a raw socket that the runner drives
// step by step. Hooks say what the protocol does inside a callback, because
// most rules of the contract are about just that. The result is a trace: every
// callback, every call with its error, and what the peer saw, in order.
//
// # What is expected
//
// directory testdata has <id>.asyncio.jsonl, recorded by record.py, for every
// scenario. Our trace must be equal to it in normal form. Where a scenario
// names a deviation, because asyncio is wrong there or the contract promises
// more, <id>.sluice.jsonl is expected instead, which is written by hand.
// testdata/VERSION says which Python recorded which trace.
//
//	python3 loop/internal/oracletest/record.py           records all
//	python3 loop/internal/oracletest/record.py --check   compares with what is committed
//
// # Determinism
//
// No step takes a given time. A step ends when the loop is quiet, that is when
// it has nothing more to do before the peer or the user acts again; peers act
// on the loop's goroutine, between callbacks and never at the same time as one.
// Sizes that depend on the kernel's buffers are not recorded: whether a write
// buffer is empty is, how much is in it is not.
package oracletest
