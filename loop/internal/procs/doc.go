// Package procs arranges for loops and other goroutines to share the Ps of the Go
// scheduler: a P is what a thread needs to run Go code, and there are GOMAXPROCS of them.
//
// A loop sleeps in a system call and keeps its P meanwhile. The runtime's monitor takes
// the P of a system call away after 20 to 40 µs, unless another P is idle (retake in
// runtime/proc.go, Go 1.26). With as many loops as Ps none is, so every sleep costs a loss
// of the P and a search for another: two or three switches of threads. Taking a P also
// makes the monitor look again after 20 µs instead of up to 10 ms, so it goes on like
// that. With one more P than loops there is always an idle one, unless other goroutines
// compute.
//
// So this package raises GOMAXPROCS to the number of loops and one, and lowers it again
// when there are fewer. What the program or the runtime has chosen remains the base: a
// GOMAXPROCS that the program sets later is the new base, and if the runtime follows the
// limits of a container, so does this package. It cannot see a call of GOMAXPROCS with
// the number that is set already, which looks as if nobody had called, and one at the very
// moment of its own may be lost.
package procs
