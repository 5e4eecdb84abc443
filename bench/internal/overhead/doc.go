// Package overhead measures what tracing costs the traced: the CPU time of a thread
// for an operation, with a tracer attached and without, in turn.
package overhead
