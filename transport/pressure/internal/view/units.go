package view

import (
	"fmt"
	"strings"
	"time"
)

// Bytes writes a size in at most five columns: 999, 1.2K, 64K, 3.4M, 12G.
func Bytes(n int) string { return scaled(float64(n)) }

// Rate writes bytes a second, "" for none.
func Rate(r float64) string {
	if r < 0.5 {
		return ""
	}
	return scaled(r) + "/s"
}

func scaled(v float64) string {
	unit := 0
	for ; v >= 1023.5 && unit < 5; unit++ {
		v /= 1024
	}
	if unit == 0 {
		return fmt.Sprintf("%.0f", v)
	}
	text := fmt.Sprintf("%.1f", v)
	if v >= 9.95 {
		text = fmt.Sprintf("%.0f", v)
	}
	return strings.TrimSuffix(text, ".0") + "KMGTP"[unit-1:unit]
}

// Short writes a duration with two or three digits: 840µs, 1.2ms, 40ms, 3.5s.
func Short(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if d < u.unit {
			continue
		}
		if v := float64(d) / float64(u.unit); v < 9.95 {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") + u.name
		}
		return fmt.Sprintf("%.0f%s", float64(d)/float64(u.unit), u.name)
	}
	return fmt.Sprintf("%dns", d.Nanoseconds())
}

// Percent writes a share, "<1 %" for what is not quite nothing.
func Percent(share float64) string {
	if 0 < share && share < 0.005 {
		return "<1 %"
	}
	return fmt.Sprintf("%.0f %%", share*100)
}
