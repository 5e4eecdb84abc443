package tui

import (
	"cmp"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"github.com/sluice-net/sluice/transport/pressure/internal/view"
)

// The bounds of the interval.
const (
	intervalMin = 100 * time.Millisecond
	intervalMax = 30 * time.Second
)

// key is the next state after a key.
func (m Model) key(k tea.KeyPressMsg) (tea.Model, tea.Cmd) {
	m.note = ""
	name := k.String()
	if name == "ctrl+c" {
		return m, tea.Quit
	}
	switch m.screen {
	case onFilter:
		return m.filterKey(name, k.Text).settle(), nil
	case onHelp:
		m.screen = onTable
		return m, nil
	case onDetail:
		if name == "esc" || name == "enter" || name == "backspace" {
			m.screen = onTable
			return m.settle(), nil
		}
	case onTable:
		if name == "esc" {
			m.filter = ""
		}
	}
	if name == "q" {
		return m, tea.Quit
	}
	return m.tableKey(name).settle(), nil
}

func (m Model) tableKey(name string) Model {
	switch name {
	case "?", "h":
		m.screen = onHelp
	case "/":
		m.screen, m.filter = onFilter, ""
	case "enter":
		if c, there := m.chosen(); there {
			m.screen, m.cursor = onDetail, c.Cookie
		}
	case "space", "p":
		m.paused = !m.paused
	case "s":
		m.order = (m.order + 1) % orders
	case "d":
		m.direction = (m.direction + 1) % directions
	case "r":
		m.resources = !m.resources
	case "+":
		m.interval = max(m.interval/2, intervalMin)
	case "-":
		m.interval = min(m.interval*2, intervalMax)
	default:
		return m.move(name)
	}
	return m
}

// move moves the cursor.
func (m Model) move(name string) Model {
	rows := m.rows()
	page := max(1, m.fits()-1)
	steps := map[string]int{"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -page,
		"pgdown": page, "home": -len(rows), "g": -len(rows), "end": len(rows), "G": len(rows)}
	step, ok := steps[name]
	if !ok || len(rows) == 0 {
		return m
	}
	at := min(max(m.index(rows), 0)+step, len(rows)-1)
	m.cursor = rows[max(at, 0)].Cookie
	return m
}

func (m Model) filterKey(name, typed string) Model {
	switch name {
	case "enter":
		m.screen = onTable
	case "esc":
		m.screen, m.filter = onTable, ""
	case "backspace":
		_, size := utf8.DecodeLastRuneInString(m.filter)
		m.filter = m.filter[:len(m.filter)-size]
	case "ctrl+u":
		m.filter = ""
	default:
		m.filter += typed
	}
	return m
}

// settle scrolls so that the cursor is seen.
func (m Model) settle() Model {
	rows, fits := m.rows(), m.fits()
	at := max(m.index(rows), 0)
	m.scroll = min(m.scroll, at, max(0, len(rows)-fits))
	m.scroll = max(m.scroll, at-fits+1, 0)
	return m
}

// compare orders connections: what is to be seen first is less.
func (o order) compare(a, b view.Conn) int {
	first := 0
	switch o {
	case byHeld:
		first = cmp.Compare(b.Held(), a.Held())
	case byRate:
		first = cmp.Compare(b.Out.Rate+b.In.Rate, a.Out.Rate+a.In.Rate)
	case byPeer:
		first = a.Remote.Compare(b.Remote)
	}
	return cmp.Or(first, cmp.Compare(a.FD, b.FD), cmp.Compare(a.Cookie, b.Cookie))
}
