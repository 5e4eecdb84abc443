package protocol

import (
	"errors"
	"fmt"
)

// ErrEmptyBuffer ends a connection whose GetBuffer returned an empty slice.
var ErrEmptyBuffer = errors.New("protocol: GetBuffer returned an empty buffer")

// ErrDataChanged is reported to the loop's exception handler in debug mode when
// DataReceived has changed a part of its slice after it had written that part.
var ErrDataChanged = errors.New("protocol: DataReceived changed what it had written")

// PanicError is a panic in a protocol's callback, as passed to the loop's exception
// handler and to ConnectionLost.
type PanicError struct {
	Callback string // the name of the callback, for example "DataReceived"
	Value    any    // what panic was called with
	Stack    []byte // the goroutine's stack at the panic
}

// Error names the callback and the value.
func (e *PanicError) Error() string {
	return fmt.Sprintf("protocol: panic in %s: %v", e.Callback, e.Value)
}

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
