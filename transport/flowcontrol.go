package transport

// Change is what a step of FlowControl asks its owner to do.
type Change uint8

// The changes.
const (
	NoChange Change = iota // nothing to do
	Pause                  // call PauseWriting
	Resume                 // call ResumeWriting
)

// FlowControl is the water-mark state machine of one write buffer. It only counts:
// its owner makes the calls that it asks for. The zero value has DefaultLimits.
//
//	           size > High: Pause
//	+---------+ ----------------> +--------+
//	| writing |                   | paused |
//	+---------+ <---------------- +--------+
//	           size <= Low: Resume
//
// The new state is set before Pause or Resume is returned, so that an owner whose
// protocol writes from inside the callback is not asked twice.
type FlowControl struct {
	limits   Limits
	explicit bool
	paused   bool
	size     int
}

// Grew adds n >= 0 bytes. It returns Pause if they take the size above the high
// mark.
func (f *FlowControl) Grew(n int) Change {
	f.size += n
	return f.pauseIfHigh()
}

// Shrank removes 0 <= n <= Size bytes. It returns Resume when a paused buffer
// reaches the low mark. It panics if n exceeds Size: the owner's accounting is then
// wrong, and bytes have been lost or sent twice.
func (f *FlowControl) Shrank(n int) Change {
	if n < 0 || n > f.size {
		panic("transport: write buffer accounting is broken")
	}
	f.size -= n
	return f.resumeIfLow()
}

// Size returns the number of bytes counted.
func (f *FlowControl) Size() int { return f.size }

// Paused reports whether the last change was Pause.
func (f *FlowControl) Paused() bool { return f.paused }

// Limits returns the water marks.
func (f *FlowControl) Limits() Limits {
	if !f.explicit {
		return defaultLimits()
	}
	return f.limits
}

// SetLimits sets the water marks; negative ones mean asyncio's defaults, see
// WriteTransport.SetWriteBufferLimits. It returns Pause if the size is already
// above the new high mark. It never returns Resume, because ResumeWriting must not
// be called from inside the user's call: a paused buffer that is already at or
// below the new low mark gets Resume from the next Shrank, which may be of 0 bytes.
// Error: ErrBadLimits.
func (f *FlowControl) SetLimits(l Limits) (Change, error) {
	l, err := l.resolve()
	if err != nil {
		return NoChange, err
	}
	f.limits, f.explicit = l, true
	return f.pauseIfHigh(), nil
}

// Excess reports whether n more bytes would take the size above the high mark.
func (f *FlowControl) Excess(n int) bool { return n > f.Limits().High-f.size }

func (f *FlowControl) pauseIfHigh() Change {
	if f.paused || f.size <= f.Limits().High {
		return NoChange
	}
	f.paused = true
	return Pause
}

func (f *FlowControl) resumeIfLow() Change {
	if !f.paused || f.size > f.Limits().Low {
		return NoChange
	}
	f.paused = false
	return Resume
}
