// Package procs arranges for loops and other goroutines to share the Ps of the Go
// scheduler: a P is what a thread needs to run Go code, and there are GOMAXPROCS of them.
package procs
