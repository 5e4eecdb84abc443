package transport

import (
	"errors"
	"testing"
)

// FuzzFlowControl drives the state machine and a model of it with the same steps of
// two bytes each: what, and how much.
func FuzzFlowControl(f *testing.F) {
	f.Add([]byte{0, 255, 0, 255, 1, 255})
	f.Add([]byte{2, 0x42, 0, 9, 0, 9, 1, 18, 3, 0})
	f.Add([]byte{4, 1, 0, 1, 1, 1, 2, 0xff, 2, 0x1f})
	f.Fuzz(func(t *testing.T, steps []byte) {
		var flow FlowControl
		m := flowModel{limits: DefaultLimits}
		for ; len(steps) >= 2; steps = steps[2:] {
			amount := int(steps[1]) << 9
			switch steps[0] % 5 {
			case 0:
				if excess := flow.Excess(amount); excess != (m.size+amount > m.limits.High) {
					t.Fatalf("Excess(%d) is %v with %+v", amount, excess, m)
				}
				m.size += amount
				m.expect(t, flow.Grew(amount), m.pause())
			case 1:
				amount = min(amount, m.size)
				m.size -= amount
				m.expect(t, flow.Shrank(amount), m.resume())
			case 2:
				limits := Limits{High: nibble(steps[1] >> 4), Low: nibble(steps[1] & 15)}
				change, err := flow.SetLimits(limits)
				if m.set(limits) != (err == nil) || err != nil && !errors.Is(err, ErrBadLimits) {
					t.Fatalf("SetLimits(%+v): %v with %+v", limits, err, m)
				}
				want := NoChange
				if err == nil {
					want = m.pause()
				}
				m.expect(t, change, want)
			case 3:
				m.expect(t, flow.Shrank(0), m.resume())
			case 4:
				m.expect(t, flow.Grew(1), m.grow(1))
			}
			if flow.Size() != m.size || flow.Paused() != m.paused || flow.Limits() != m.limits {
				t.Fatalf("size %d, paused %v, limits %+v; the model: %+v",
					flow.Size(), flow.Paused(), flow.Limits(), m)
			}
		}
	})
}

// nibble is a water mark: a negative one, or up to 104 KiB.
func nibble(b byte) int {
	if b == 15 {
		return -1
	}
	return int(b) * int(b) << 9
}

// flowModel is FlowControl as WriteTransport documents it.
type flowModel struct {
	limits Limits
	size   int
	paused bool
}

func (m *flowModel) pause() Change {
	if m.size > m.limits.High && !m.paused {
		m.paused = true
		return Pause
	}
	return NoChange
}

func (m *flowModel) resume() Change {
	if m.paused && m.size <= m.limits.Low {
		m.paused = false
		return Resume
	}
	return NoChange
}

func (m *flowModel) grow(n int) Change {
	m.size += n
	return m.pause()
}

// set reports whether the marks are legal, and if so adopts them.
func (m *flowModel) set(l Limits) bool {
	if l.High < 0 && l.Low < 0 {
		l = Limits{High: 65536, Low: 16384}
	}
	if l.High < 0 {
		l.High = l.Low * 4
	}
	if l.Low < 0 {
		l.Low = l.High / 4
	}
	if l.High < l.Low {
		return false
	}
	m.limits = l
	return true
}

func (m *flowModel) expect(t *testing.T, got, want Change) {
	t.Helper()
	if got != want {
		t.Fatalf("change %d instead of %d, %+v", got, want, *m)
	}
}
