// Package tui is the live table of sluicetop on a terminal: a program of Bubble
// Tea, whose Update and View are pure functions of a Model.
package tui

import (
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/text"
	"github.com/sluice-net/sluice/transport/pressure/internal/view"
)

// A Model is the state of the screen.
//
//	table --/--> filter --enter, esc--> table      table --?--> help --any key--> table
//	table --enter--> detail --esc, enter--> table; --connection gone--> table
//
// In all of them the frames go on coming, unless paused.
type Model struct {
	title    text.Title
	interval time.Duration
	next     func() (view.Frame, error)
	theme    theme

	screen        screen
	width, height int

	note    string // shown until a key is pressed
	frame   view.Frame
	err     error // the last frame could not be had
	loaded  bool
	paused  bool
	pending bool // a frame is being fetched
	past    map[uint64][]moment

	order     order
	direction direction
	resources bool
	filter    string
	cursor    uint64 // the cookie of the chosen connection, 0 for the first
	scroll    int    // connections above the top of the table
}

type screen uint8

const (
	onTable screen = iota
	onFilter
	onHelp
	onDetail
)

type order uint8

const (
	byHeld order = iota // those that are held back most, first
	byRate
	byFD
	byPeer
	orders
)

var orderNames = [orders]string{"held", "rate", "fd", "peer"}

type direction uint8

const (
	both direction = iota
	onlyOut
	onlyIn
	worst // the one that is held back more
	directions
)

var directionNames = [directions]string{"both", "out", "in", "worst"}

// past keeps so many moments of a connection.
const pastMax = 240

// A moment is what the detail of a connection shows of the past.
type moment struct {
	buffer, queue, inQueue float64
	out, in                pressure.Cause
	known                  bool // out and in are
}

// New returns a Model that calls next for a frame every interval, on a goroutine
// of its own, never twice at once.
func New(title text.Title, interval time.Duration, next func() (view.Frame, error)) Model {
	return Model{title: title, interval: interval, next: next, resources: true,
		theme: themeFor(true), past: map[uint64][]moment{}, width: 80, height: 24}
}

// WithNote returns a Model that shows a note at the bottom until a key is pressed.
func (m Model) WithNote(note string) Model {
	m.note = note
	return m
}

type (
	frameMsg struct {
		frame view.Frame
		err   error
	}
	tickMsg struct{}
)

// Init fetches the first frame and asks the terminal whether it is dark.
func (m Model) Init() tea.Cmd { return tea.Batch(tea.RequestBackgroundColor, m.fetch()) }

func (m Model) fetch() tea.Cmd {
	next := m.next
	return func() tea.Msg {
		f, err := next()
		return frameMsg{f, err}
	}
}

func (m Model) tick() tea.Cmd {
	return tea.Tick(m.interval, func(time.Time) tea.Msg { return tickMsg{} })
}

// Update is the next state after a message.
func (m Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.BackgroundColorMsg:
		m.theme = themeFor(msg.IsDark())
	case frameMsg:
		m.pending = false
		return m.took(msg), m.tick()
	case tickMsg:
		if m.paused || m.pending {
			return m, m.tick()
		}
		m.pending = true
		return m, m.fetch()
	case tea.KeyPressMsg:
		return m.key(msg)
	}
	return m.settle(), nil
}

// took takes a frame in. After an error the last good one stays.
func (m Model) took(msg frameMsg) Model {
	m.err = msg.err
	if msg.err != nil {
		return m
	}
	m.frame, m.loaded = msg.frame, true
	past := make(map[uint64][]moment, len(m.frame.Conns))
	for _, c := range m.frame.Conns {
		list := append(slices.Clip(m.past[c.Cookie]), momentOf(c))
		past[c.Cookie] = list[max(0, len(list)-pastMax):]
	}
	m.past = past
	if _, there := m.chosen(); !there && m.screen == onDetail {
		m.screen = onTable
	}
	return m.settle()
}

func momentOf(c view.Conn) moment {
	return moment{c.Out.Places[view.Buffer].Fill, c.Out.Places[view.Queue].Fill,
		c.In.Places[view.Queue].Fill, lead(c.Out), lead(c.In), c.Out.Shares.Sum() > 0}
}

// lead is the verdict, or the largest share where there are several.
func lead(l view.Lane) pressure.Cause {
	if l.Cause == pressure.CauseMixed {
		c, _ := l.Lead()
		return c
	}
	return l.Cause
}

// rows are the connections that are shown, in order.
func (m Model) rows() []view.Conn {
	var out []view.Conn
	for _, c := range m.frame.Conns {
		if matches(c, m.filter) {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, m.order.compare)
	return out
}

// matches reports whether all words of a filter are in what is shown of c.
func matches(c view.Conn, filter string) bool {
	if filter == "" {
		return true
	}
	shown := strings.ToLower(text.Join(text.Lane(c, true, false)) + " " +
		text.Join(text.Lane(c, false, true)) + " " + c.Local.String() + " " + c.Listener)
	for word := range strings.FieldsSeq(strings.ToLower(filter)) {
		if !strings.Contains(shown, word) {
			return false
		}
	}
	return true
}

// chosen returns the connection under the cursor, the first of the rows if there
// is none.
func (m Model) chosen() (view.Conn, bool) {
	rows := m.rows()
	if i := m.index(rows); i >= 0 {
		return rows[i], true
	}
	if m.cursor == 0 && len(rows) > 0 {
		return rows[0], true
	}
	return view.Conn{}, false
}

func (m Model) index(rows []view.Conn) int {
	return slices.IndexFunc(rows, func(c view.Conn) bool { return c.Cookie == m.cursor })
}
