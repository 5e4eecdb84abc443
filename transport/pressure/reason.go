package pressure

import (
	"fmt"
	"strings"
	"time"
)

// sendReason returns the evidence for a verdict in words. An amount that waits is
// the maximum over the snapshots.
func (l *ledger) sendReason(verdict Cause) string {
	c, span := &l.last, l.to-l.from
	switch verdict {
	case CausePeer:
		words := []string{fmt.Sprintf("peer's window %s", bytesText(c.PeerWindow))}
		if d := c.RwndLimited - l.first.RwndLimited; d > 0 {
			words = append(words, "limits "+percent(d, span))
		}
		if n := c.Edges.ZeroWindows - l.first.Edges.ZeroWindows; n > 0 {
			words = append(words, fmt.Sprintf("closed %d times", n))
		}
		return strings.Join(append(words, bytesText(l.unsent)+" not sent"), ", ")
	case CauseSndBuf:
		return fmt.Sprintf("SO_SNDBUF %s is full, %s sent and not acknowledged, rtt %v",
			bytesText(c.SndBuf), bytesText(l.unacked), c.SRTT)
	case CauseNet:
		return fmt.Sprintf("%d of cwnd %d in flight, %s not sent, %d sent again, rtt %v",
			c.InFlight, c.Cwnd, bytesText(l.unsent), c.Retrans-l.first.Retrans, c.SRTT)
	case CauseRing:
		return fmt.Sprintf("the ring has %s to send, the kernel has room",
			bytesText(c.Transport.sending()))
	case CauseLoop:
		return fmt.Sprintf("%s buffered and not handed over", bytesText(c.Transport.buffered()))
	}
	return ""
}

// receiveReason is sendReason for the receiving direction.
func (l *ledger) receiveReason(verdict Cause) string {
	c, span := &l.last, l.to-l.from
	switch verdict {
	case CauseApp:
		waits := bytesText(l.unread) + " unread"
		if t, f := c.Transport, l.first.Transport; t != nil && f != nil {
			paused := t.ReadingPausedTime - f.ReadingPausedTime
			return fmt.Sprintf("reading paused %s, %s", percent(paused, span), waits)
		}
		return waits + ", nobody reads"
	case CauseBuffers:
		n := c.Edges.NoBuffers - l.first.Edges.NoBuffers
		if t, f := c.Transport, l.first.Transport; t != nil && f != nil {
			n = max(n, t.Starvations-f.Starvations)
		}
		return fmt.Sprintf("no receive buffer %d times, %s unread", n, bytesText(l.unread))
	case CauseLoop:
		return fmt.Sprintf("%s unread while the loop does other work", bytesText(l.unread))
	case CauseNet:
		return "a segment is missing"
	}
	return ""
}

func (t *Transport) sending() int {
	if t == nil {
		return 0
	}
	return t.Sending
}

func (t *Transport) buffered() int {
	if t == nil {
		return 0
	}
	return t.Buffered
}

func percent(part, whole time.Duration) string {
	return fmt.Sprintf("%.0f %%", min(100*float64(part)/float64(max(whole, 1)), 100))
}

// bytesText returns a human-readable size.
func bytesText(n int) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}
