package transport

import (
	"fmt"
	"math"
)

// Limits are the water marks of a write buffer, in bytes, 0 <= Low <= High. Writing
// is paused when the size is strictly greater than High, and resumed when it is Low
// or less. A High of 0 pauses whenever anything remains in the buffer.
type Limits struct {
	High int // PauseWriting is called when the size exceeds it
	Low  int // ResumeWriting is called when the size drains to it
}

// The marks that transports start with, as in asyncio.
const (
	defaultHigh = 64 << 10
	defaultLow  = 16 << 10
)

// DefaultLimits are the marks that transports start with: 64 KiB and 16 KiB. The
// variable is for reading only: transports do not consult it, so assigning to it
// has no effect on them.
var DefaultLimits = defaultLimits()

func defaultLimits() Limits { return Limits{High: defaultHigh, Low: defaultLow} }

// resolve fills in marks that are negative and checks the result.
func (l Limits) resolve() (Limits, error) {
	switch {
	case l.High < 0 && l.Low < 0:
		l = defaultLimits()
	case l.High < 0:
		l.High = math.MaxInt
		if l.Low <= math.MaxInt/4 {
			l.High = 4 * l.Low
		}
	case l.Low < 0:
		l.Low = l.High / 4
	}
	if l.Low > l.High {
		return l, fmt.Errorf("%w, not High %d, Low %d", ErrBadLimits, l.High, l.Low)
	}
	return l, nil
}
