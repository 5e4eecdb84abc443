package view

import (
	"fmt"
	"math"

	"github.com/sluice-net/sluice/transport/pressure"
)

// connOf returns the view of a connection. account is nil until there is one.
func connOf(c pressure.Conn, account *pressure.Account) Conn {
	v := Conn{FD: c.FD, Cookie: c.Cookie, Local: c.Local, Remote: c.Remote, Raw: c,
		State: "open"}
	if c.State != "established" {
		v.State = c.State
	}
	if t := c.Transport; t != nil && t.State != "open" {
		v.State = t.State
	}
	var none pressure.Account
	if account == nil {
		account = &none
	}
	seconds := (account.To - account.From).Seconds()
	v.Out = laneOf(account.Send, seconds, true, outwards(c, account.Send.Shares))
	v.In = laneOf(account.Receive, seconds, false, inwards(c, account.Receive.Shares))
	if t := c.Transport; t != nil {
		v.Out.Paused, v.In.Paused = t.WritingPaused, t.ReadingPaused
	}
	return v
}

func laneOf(s pressure.Side, seconds float64, out bool, places [Width]Place) Lane {
	l := Lane{Places: places, Cause: s.Verdict, Reason: s.Reason, Shares: s.Shares}
	if seconds > 0 {
		l.Rate = float64(s.Bytes) / seconds
	}
	l.Narrowest = narrowest(l, out)
	return l
}

// narrowest goes by the verdict, by the largest share where none leads, and by
// what is fullest where the cause is not known.
func narrowest(l Lane, out bool) int {
	cause := l.Cause
	if cause == pressure.CauseMixed {
		cause, _ = l.Lead()
	}
	if cause != pressure.CauseUnknown {
		return placeOf(cause, out)
	}
	fullest := -1
	for i, p := range l.Places {
		if p.Fill > 0 && (fullest < 0 || p.Fill > l.Places[fullest].Fill) {
			fullest = i
		}
	}
	return fullest
}

// outwards are the places of what is sent.
func outwards(c pressure.Conn, s pressure.Shares) [Width]Place {
	return [Width]Place{
		App:    ofTime(s[pressure.CauseApp]+s[pressure.CauseLoop], ""),
		Buffer: transportBuffer(c.Transport),
		Ring:   ofTime(s[pressure.CauseRing], sendingText(c.Transport)),
		Queue:  part(c.Queued, c.SndBuf, "send queue"),
		Net:    inFlight(c),
		Peer:   peerWindow(c),
	}
}

// inwards are the places of what is received.
func inwards(c pressure.Conn, s pressure.Shares) [Width]Place {
	return [Width]Place{
		App:    ofTime(s[pressure.CauseApp]+s[pressure.CauseLoop], heldText(c.Transport)),
		Buffer: receiveBuffers(c.Transport, s),
		Ring:   ofTime(s[pressure.CauseRing], ""),
		Queue:  part(c.Rmem, c.RcvBuf, "receive queue"),
		Net:    ownWindow(c),
		Peer:   ofTime(s[pressure.CauseNet]+s[pressure.CausePeer], ""),
	}
}

// ofTime is a place without a size.
func ofTime(share float64, text string) Place {
	return Place{Fill: min(share, 1), Text: text}
}

// part is a place with a size.
func part(used, size int, what string) Place {
	return Place{Fill: ratio(used, size),
		Text: fmt.Sprintf("%s %s of %s", what, Bytes(used), Bytes(size))}
}

// ratio is used/size within 0 and 1; something in nothing is full.
func ratio(used, size int) float64 {
	switch {
	case used <= 0:
		return 0
	case size <= 0 || used >= size:
		return 1
	}
	return float64(used) / float64(size)
}

func transportBuffer(t *pressure.Transport) Place {
	if t == nil {
		return unknown
	}
	text := fmt.Sprintf("transport's buffer %s of %s", Bytes(t.Buffered), Bytes(t.High))
	if t.WritingPaused {
		text += ", writing paused"
	}
	return Place{Fill: ratio(t.Buffered, t.High), Text: text}
}

func sendingText(t *pressure.Transport) string {
	if t == nil || t.Sending == 0 {
		return ""
	}
	return "sending " + Bytes(t.Sending)
}

func heldText(t *pressure.Transport) string {
	switch {
	case t == nil || !t.ReadingPaused:
		return ""
	case t.Held > 0:
		return fmt.Sprintf("reading paused, %s held back", Bytes(t.HeldBytes))
	}
	return "reading paused"
}

func receiveBuffers(t *pressure.Transport, s pressure.Shares) Place {
	p := ofTime(s[pressure.CauseBuffers], "")
	if t == nil && p.Fill == 0 {
		return unknown
	}
	if t != nil && t.Starved {
		p = Place{Fill: 1, Text: "waits for a free buffer"}
	}
	return p
}

func inFlight(c pressure.Conn) Place {
	return Place{Fill: ratio(c.InFlight, c.Cwnd), Text: fmt.Sprintf(
		"%d of %d segments in flight, round trip %s", c.InFlight, c.Cwnd, Short(c.SRTT))}
}

// peerWindow is closed where there is none, on a connection that has sent.
func peerWindow(c pressure.Conn) Place {
	if c.PeerWindow == 0 && c.OutQueue > 0 || c.Edges.PeerClosed {
		return Place{Fill: 1, Text: "peer's window closed"}
	}
	return part(c.OutQueue-c.NotSent, c.PeerWindow, "peer's window")
}

// ownWindow is how much of what we offered is taken up by what nobody read.
func ownWindow(c pressure.Conn) Place {
	if c.InQueue == 0 {
		return Place{}
	}
	return Place{Fill: ratio(c.InQueue, c.InQueue+c.OwnWindow), Text: fmt.Sprintf(
		"own window %s, %s not read", Bytes(c.OwnWindow), Bytes(c.InQueue))}
}

// Known reports whether anything is known of the place.
func (p Place) Known() bool { return !math.IsNaN(p.Fill) }
