package tui

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/text"
	"github.com/sluice-net/sluice/transport/pressure/internal/view"
)

// detail is everything about the chosen connection.
func (m Model) detail() []string {
	c, there := m.chosen()
	if !there {
		return []string{"gone"}
	}
	lines := [][]text.Span{{}, {
		{Text: fmt.Sprintf("fd %d  %s - %s", c.FD, c.Local, c.Remote), Kind: text.Heading},
		{Text: "  " + c.State + origin(c), Kind: text.Faint}}}
	lines = append(lines, laneDetail("OUT", c, c.Out)...)
	lines = append(lines, laneDetail("IN", c, c.In)...)
	lines = append(lines, m.pastLines(c)...)
	lines = append(lines, kernelLines(c.Raw)...)
	out := make([]string, 0, len(lines))
	for _, spans := range lines {
		out = append(out, m.theme.line(spans, m.width))
	}
	return out
}

func origin(c view.Conn) string {
	if c.Listener == "" {
		return ", made from here"
	}
	return ", came in on " + c.Listener
}

func laneDetail(name string, c view.Conn, l view.Lane) [][]text.Span {
	held := text.Span{Text: text.Verdict(l), Kind: text.Faint}
	if l.Held() > 0 {
		held = text.Span{Text: text.Verdict(l), Kind: text.HeldBack, Cause: l.Cause}
	}
	rate := view.Rate(l.Rate)
	if rate == "" {
		rate = "0/s"
	}
	lines := [][]text.Span{{}, {{Text: fmt.Sprintf("%-4s", name), Kind: text.Heading},
		{Text: rate + "  held by "}, held, {Text: "  " + text.Why(c, l)}}}
	for i, p := range l.Places {
		bar := text.Span{Text: text.Bar(p.Fill, 20)}
		if l.Narrowest == i {
			bar.Kind, bar.Cause = text.HeldBack, l.Cause
		}
		edge := "│"
		lines = append(lines, []text.Span{{Text: fmt.Sprintf("  %-7s ", view.Places[i])},
			{Text: edge, Kind: text.Faint}, bar, {Text: edge, Kind: text.Faint},
			{Text: " " + p.Text}})
	}
	return append(lines, sharesLine(l))
}

// sharesLine lists the causes that have a share.
func sharesLine(l view.Lane) []text.Span {
	line := []text.Span{{Text: "  time    ", Kind: text.Faint}}
	for c := pressure.CauseApp; int(c) < pressure.Causes; c++ {
		if l.Shares[c] >= 0.005 {
			line = append(line, text.Span{Kind: text.HeldBack, Cause: c,
				Text: fmt.Sprintf("%s %s  ", c, view.Percent(l.Shares[c]))})
		}
	}
	idle := view.Percent(l.Shares[pressure.CauseIdle])
	return append(line, text.Span{Text: "idle " + idle, Kind: text.Faint})
}

// shades are those of the past, from empty to full.
var shades = []rune("·░▒▓█")

// pastLines are the moments that went by, the newest at the right.
func (m Model) pastLines(c view.Conn) [][]text.Span {
	past := m.past[c.Cookie]
	past = past[max(0, len(past)-max(0, m.width-12)):]
	span := time.Duration(len(past)) * m.interval
	lines := [][]text.Span{{}, {{Text: "PAST", Kind: text.Heading},
		{Text: fmt.Sprintf("  %s, newest at the right; %s empty to full", view.Short(span),
			string(shades)), Kind: text.Faint}}}
	for _, row := range []struct {
		name string
		fill func(moment) float64
	}{
		{"buffer", func(p moment) float64 { return p.buffer }},
		{"queue", func(p moment) float64 { return p.queue }},
		{"in queue", func(p moment) float64 { return p.inQueue }},
	} {
		var b strings.Builder
		for _, p := range past {
			b.WriteRune(shade(row.fill(p)))
		}
		lines = append(lines, []text.Span{{Text: fmt.Sprintf("  %-9s", row.name)},
			{Text: b.String()}})
	}
	return append(lines, causesLine("out", past, func(p moment) pressure.Cause { return p.out }),
		causesLine("in", past, func(p moment) pressure.Cause { return p.in }))
}

func shade(fill float64) rune {
	switch {
	case math.IsNaN(fill):
		return '-'
	case fill <= 0:
		return shades[0]
	}
	return shades[min(1+int(fill*4), 4)]
}

// causesLine has the first letter of the cause of each moment.
func causesLine(name string, past []moment, of func(moment) pressure.Cause) []text.Span {
	line := []text.Span{{Text: fmt.Sprintf("  %-9s", name)}}
	for _, p := range past {
		s := text.Span{Text: "·", Kind: text.Faint}
		if c := of(p); p.known && c != pressure.CauseIdle {
			s = text.Span{Text: c.String()[:1], Kind: text.HeldBack, Cause: c}
		}
		line = append(line, s)
	}
	return line
}

func kernelLines(c pressure.Conn) [][]text.Span {
	line := func(format string, values ...any) []text.Span {
		return []text.Span{{Text: "  " + fmt.Sprintf(format, values...)}}
	}
	lines := [][]text.Span{{}, {{Text: "TCP", Kind: text.Heading}},
		line("round trip %s  cwnd %d  mss %d  retransmits %d  window probes %d  drops %d",
			view.Short(c.SRTT), c.Cwnd, c.MSS, c.Retrans, c.Probes, c.Drops),
		line("since it began: busy %s  held by the peer's window %s  by the send buffer %s",
			view.Short(c.Busy), view.Short(c.RwndLimited), view.Short(c.SndbufLimited))}
	if t := c.Transport; t != nil {
		lines = append(lines, line("transport: written %s  read %s  writing paused %d times, "+
			"%s  reading paused %d times, %s", view.Bytes(int(t.Written)), view.Bytes(int(t.Read)),
			t.WritingPauses, view.Short(t.WritingPausedTime), t.ReadingPauses,
			view.Short(t.ReadingPausedTime)))
	}
	return lines
}

// help explains the table.
func (m Model) help() []string {
	lines := strings.Split(helpText, "\n")
	out := make([]string, 0, len(lines))
	for _, l := range lines {
		out = append(out, m.theme.line([]text.Span{{Text: l}}, m.width))
	}
	return out
}

const helpText = `
A connection has a line for each direction. Bytes that go out pass the places from
left to right, bytes that come in from right to left. A bar shows how full a place
is; the one in [brackets] holds the connection back.

          out →                             ← in
 APP      the loop is busy                  nobody reads, or the loop is busy
 BUFFER   the transport's, up to its mark   no free receive buffer
 RING     operations that the ring keeps    the same
 QUEUE    the kernel's send queue           the kernel's receive queue
 NET      in flight of the congestion window   our window, taken up by what nobody read
 PEER     the window that the peer offers   the network, and the peer

HELD BY says what held it back, for how much of the time since the last line;
· is empty, - not known (no flow page), … not measured yet.

 space p pause        s sort            d directions       / filter by words, esc drops
 ↑ ↓ choose           enter detail      r other resources  + - faster, slower      q quit`
