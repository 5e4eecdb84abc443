package tui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/sluice-net/sluice/transport/pressure/internal/text"
	"github.com/sluice-net/sluice/transport/pressure/internal/view"
)

// View draws the screen.
func (m Model) View() tea.View {
	v := tea.NewView(strings.Join(m.lines(), "\n"))
	v.AltScreen = true
	v.WindowTitle = "sluicetop " + m.title.Process
	return v
}

// lines are those of the screen, never more than there is room for.
func (m Model) lines() []string {
	out := []string{m.theme.inverse(m.top(), m.width)}
	body := m.height - 2
	switch m.screen {
	case onHelp:
		out = append(out, m.help()...)
	case onDetail:
		out = append(out, m.detail()...)
	default:
		out = append(out, m.table()...)
		below := m.shownResources()
		for len(out)-1 < body-len(below) {
			out = append(out, "")
		}
		out = append(out, below...)
	}
	for len(out)-1 < body {
		out = append(out, "")
	}
	out = out[:max(1, min(len(out), m.height-1))]
	return append(out, m.bottom())
}

func (m Model) top() string {
	summary := " sluicetop  " + text.Summary(m.title, m.frame)
	right := fmt.Sprintf("every %s ", view.Short(m.interval))
	if m.paused {
		right = "paused "
	}
	gap := m.width - len([]rune(summary)) - len([]rune(right))
	return summary + strings.Repeat(" ", max(2, gap)) + right
}

func (m Model) bottom() string {
	line := "q quit  space pause  s sort: " + orderNames[m.order] +
		"  d direction: " + directionNames[m.direction] + "  / filter  enter detail  ? help"
	kind := text.Faint
	switch {
	case m.screen == onFilter:
		line, kind = "filter: "+m.filter+"▏  enter keep  esc drop", text.Heading
	case m.err != nil:
		line, kind = m.err.Error(), text.Wrong
	case m.note != "":
		line, kind = m.note, text.Plain
	case m.screen == onDetail:
		line = "esc back  space pause  ↑↓ next connection  q quit"
	case m.screen == onHelp:
		line = "any key: back"
	case m.filter != "":
		line = "filter: " + m.filter + "  (esc drops it)  " + line
	}
	return m.theme.line([]text.Span{{Text: line, Kind: kind}}, m.width)
}

// linesEach is how many lines a connection takes.
func (m Model) linesEach() int {
	if m.direction == both {
		return 2
	}
	return 1
}

// fits is how many connections the table has room for.
func (m Model) fits() int {
	room := m.height - 3 - len(m.shownResources())
	return max(1, room/m.linesEach())
}

func (m Model) table() []string {
	out := []string{m.theme.line([]text.Span{{Text: text.Header(), Kind: text.Heading}},
		m.width)}
	rows := m.rows()
	if len(rows) == 0 {
		return append(out, m.theme.line([]text.Span{{Text: m.nothing(), Kind: text.Faint}},
			m.width))
	}
	chosen := max(m.index(rows), 0)
	last := min(len(rows), m.scroll+m.fits())
	for i, c := range rows[min(m.scroll, last):last] {
		for _, spans := range m.lanes(c) {
			if m.scroll+i == chosen {
				spans[0].Text = "▸" + strings.TrimPrefix(spans[0].Text, " ")
				spans[0].Kind = text.Heading
			}
			out = append(out, m.theme.line(spans, m.width))
		}
	}
	return out
}

func (m Model) nothing() string {
	switch {
	case !m.loaded:
		return "     looking …"
	case m.filter != "":
		return "     no connection matches"
	}
	return "     no TCP connections"
}

func (m Model) lanes(c view.Conn) [][]text.Span {
	out, in := text.Lane(c, true, false), text.Lane(c, false, m.direction == both)
	switch {
	case m.direction == both:
		return [][]text.Span{out, in}
	case m.direction == onlyIn, m.direction == worst && c.In.Held() > c.Out.Held():
		return [][]text.Span{in}
	}
	return [][]text.Span{out}
}

// shownResources are the lines below the table: at most a third of the screen,
// first what is wrong.
func (m Model) shownResources() []string {
	if !m.resources || len(m.frame.Resources) == 0 || m.screen == onDetail {
		return nil
	}
	list := slices.Clone(m.frame.Resources)
	slices.SortStableFunc(list, func(a, b view.Resource) int {
		return btoi(b.Wrong != "") - btoi(a.Wrong != "")
	})
	room := max(1, m.height/3-1)
	left := len(list) - room
	if left > 0 {
		list = list[:max(room-1, 0)]
		left = len(m.frame.Resources) - len(list)
	}
	out := []string{""}
	for _, r := range list {
		out = append(out, m.theme.line(text.Resource(r), m.width))
	}
	if left > 0 {
		more := fmt.Sprintf("and %d more", left)
		out = append(out, m.theme.line([]text.Span{{Text: more, Kind: text.Faint}}, m.width))
	}
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
