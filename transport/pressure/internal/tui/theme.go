package tui

import (
	"strings"
	"unicode/utf8"

	"charm.land/lipgloss/v2"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/text"
)

// A theme paints what is written. The zero value paints nothing.
type theme struct {
	on     bool
	causes [pressure.Causes + 1]lipgloss.Style
	kinds  map[text.Kind]lipgloss.Style
	cursor lipgloss.Style
	bar    lipgloss.Style
}

// The colours of the causes, on light and on dark ground; they are those of the
// reports.
var causeColours = [pressure.Causes + 1][2]string{
	pressure.CauseIdle:    {"#5c6670", "#9aa5b0"},
	pressure.CauseApp:     {"#7a4fb5", "#a987e0"},
	pressure.CauseLoop:    {"#c2479a", "#e283c2"},
	pressure.CauseRing:    {"#0067b0", "#4a9fe6"},
	pressure.CauseBuffers: {"#0f7fb8", "#86cdf2"},
	pressure.CauseSndBuf:  {"#a86400", "#f0b24a"},
	pressure.CauseNet:     {"#148a5e", "#4cc492"},
	pressure.CausePeer:    {"#cf4520", "#f2764f"},
	pressure.CauseUnknown: {"#5c6670", "#9aa5b0"},
	pressure.CauseMixed:   {"#1c2126", "#e4e9ee"},
}

func themeFor(dark bool) theme {
	pick := func(c [2]string) lipgloss.Style {
		return lipgloss.NewStyle().Foreground(
			lipgloss.LightDark(dark)(lipgloss.Color(c[0]), lipgloss.Color(c[1])))
	}
	t := theme{on: true, kinds: map[text.Kind]lipgloss.Style{
		text.Faint:   pick([2]string{"#8b949d", "#6c7781"}),
		text.Wrong:   pick([2]string{"#cf4520", "#f2764f"}).Bold(true),
		text.Heading: lipgloss.NewStyle().Bold(true),
	}, cursor: lipgloss.NewStyle().Reverse(true), bar: lipgloss.NewStyle().Reverse(true)}
	for c := range causeColours {
		t.causes[c] = pick(causeColours[c]).Bold(true)
	}
	return t
}

func (t theme) paint(s text.Span) string {
	if !t.on || s.Text == "" {
		return s.Text
	}
	if s.Kind == text.HeldBack {
		return t.causes[s.Cause].Render(s.Text)
	}
	if style, ok := t.kinds[s.Kind]; ok {
		return style.Render(s.Text)
	}
	return s.Text
}

// line paints spans, cut off at a width.
func (t theme) line(spans []text.Span, width int) string {
	var b strings.Builder
	for _, s := range spans {
		if n := utf8.RuneCountInString(s.Text); n > width {
			s.Text = string([]rune(s.Text)[:max(0, width-1)]) + "…"
		}
		width -= utf8.RuneCountInString(s.Text)
		b.WriteString(t.paint(s))
		if width <= 0 {
			break
		}
	}
	return b.String()
}

// inverse is a line over all of the width, in reverse.
func (t theme) inverse(s string, width int) string {
	runes := []rune(s)
	if len(runes) > width {
		runes = runes[:width]
	}
	s = string(runes) + strings.Repeat(" ", width-len(runes))
	if !t.on {
		return s
	}
	return t.bar.Render(s)
}
