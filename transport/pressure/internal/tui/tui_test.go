package tui

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/sampletest"
	"github.com/sluice-net/sluice/transport/pressure/internal/text"
	"github.com/sluice-net/sluice/transport/pressure/internal/view"
)

var update = flag.Bool("update", false, "write what is compared with")

// model returns one without colours that has taken n made-up moments.
func model(n int) Model {
	m := New(text.Title{Process: "echo", PID: sampletest.PID,
		Level: pressure.LevelSnapshot | pressure.LevelEdges}, time.Second, nil)
	m.theme = theme{}
	m = send(m, tea.WindowSizeMsg{Width: 120, Height: 30})
	var b view.Builder
	for _, moment := range sampletest.Moments(n) {
		m = send(m, frameMsg{frame: b.Next(moment.Snapshot, moment.Accounts)})
	}
	return m
}

func send(m Model, messages ...tea.Msg) Model {
	for _, msg := range messages {
		next, _ := m.Update(msg)
		m = next.(Model)
	}
	return m
}

// keys presses keys: names, or what is typed.
func keys(m Model, names ...string) Model {
	special := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "up": tea.KeyUp,
		"down": tea.KeyDown, "end": tea.KeyEnd, "home": tea.KeyHome, "pgdown": tea.KeyPgDown,
		"backspace": tea.KeyBackspace}
	for _, name := range names {
		k := tea.KeyPressMsg{Code: special[name]}
		switch {
		case name == "space":
			k = tea.KeyPressMsg{Code: ' ', Text: " "}
		case k.Code == 0:
			r, _ := utf8.DecodeRuneInString(name)
			k = tea.KeyPressMsg{Code: r, Text: name}
		}
		m = send(m, k)
	}
	return m
}

func screenOf(m Model) string { return strings.Join(m.lines(), "\n") + "\n" }

// fds are the descriptors of the connections that are shown, in order.
func fds(m Model) string {
	var out []string
	for _, c := range m.rows() {
		out = append(out, fmt.Sprint(c.FD))
	}
	return strings.Join(out, " ")
}

func TestScreens(t *testing.T) {
	for name, m := range map[string]Model{
		"looking":  New(text.Title{Process: "echo", PID: 1}, time.Second, nil),
		"healthy":  model(2),
		"troubled": model(12),
		"detail":   keys(model(12), "enter"),
		"help":     keys(model(12), "?"),
		"filter":   keys(model(12), "/", "p", "e", "e", "r"),
		"narrow":   send(keys(model(12), "d", "d", "d"), tea.WindowSizeMsg{Width: 60, Height: 12}),
	} {
		t.Run(name, func(t *testing.T) {
			m.theme = theme{}
			got, file := screenOf(m), "testdata/"+name+".txt"
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("is\n%s\nnot\n%s", got, want)
			}
		})
	}
}

func TestTheScreenIsNeverLargerThanTheTerminal(t *testing.T) {
	for _, press := range [][]string{nil, {"enter"}, {"?"}, {"/"}, {"d"}, {"r"}, {"end"}} {
		for width := 1; width < 150; width += 23 {
			for height := 2; height < 40; height += 5 {
				m := keys(send(model(6), tea.WindowSizeMsg{Width: width, Height: height}), press...)
				lines := m.lines()
				if len(lines) > height {
					t.Fatalf("%v: %d lines in %d", press, len(lines), height)
				}
				for _, l := range lines {
					if n := utf8.RuneCountInString(l); n > width {
						t.Fatalf("%v: %d columns in %d: %q", press, n, width, l)
					}
				}
			}
		}
	}
}

func TestTheTableIsSorted(t *testing.T) {
	m := model(6)
	for _, want := range []string{"9 8 11 13 10 7 12", "7 8 9 10 11 13 12",
		"7 8 9 10 11 12 13", "13 7 8 9 10 11 12", "9 8 11 13 10 7 12"} {
		if got := fds(m); got != want {
			t.Errorf("by %s it is %s, not %s", orderNames[m.order], got, want)
		}
		m = keys(m, "s")
	}
}

func TestFilters(t *testing.T) {
	m := keys(model(6), "/", "s", "n", "d", "b")
	if got := fds(m); got != "11" || m.screen != onFilter {
		t.Errorf("shows %s while typing", got)
	}
	m = keys(m, "enter")
	if got := fds(m); got != "11" || m.screen != onTable {
		t.Errorf("shows %s after enter", got)
	}
	m = keys(m, "esc")
	if m.filter != "" || len(m.rows()) != 7 {
		t.Errorf("esc leaves the filter %q", m.filter)
	}
	m = keys(m, "/", "q", "ä", "backspace")
	if m.filter != "q" {
		t.Errorf("the filter is %q: q quits, or a letter was halved", m.filter)
	}
	if m = keys(m, "esc"); m.filter != "" || m.screen != onTable {
		t.Errorf("esc keeps the filter %q", m.filter)
	}
}

func TestTheCursorStaysOnItsConnectionAndIsSeen(t *testing.T) {
	m := send(keys(model(6), "s", "s", "r"), tea.WindowSizeMsg{Width: 100, Height: 9})
	if n := m.fits(); n != 3 {
		t.Fatalf("%d connections fit", n)
	}
	m = keys(m, "down", "down", "down", "down")
	if m.cursor != 11 || m.scroll != 2 {
		t.Errorf("the cursor is on %d, scrolled by %d", m.cursor, m.scroll)
	}
	m = keys(m, "end")
	if m.cursor != 13 || m.scroll != 4 {
		t.Errorf("end is %d, scrolled by %d", m.cursor, m.scroll)
	}
	m = keys(m, "s") // by peer it is the first
	if m.cursor != 13 || m.scroll != 0 {
		t.Errorf("sorted, the cursor is on %d, scrolled by %d", m.cursor, m.scroll)
	}
	m = keys(m, "home", "up", "pgdown")
	if m.cursor != 8 {
		t.Errorf("a page down is %d", m.cursor)
	}
}

func TestTheDetailOfAConnectionThatIsGoneIsLeft(t *testing.T) {
	m := keys(model(6), "enter")
	if m.screen != onDetail || m.cursor != sampletest.Paused {
		t.Fatalf("enter shows %d on screen %d", m.cursor, m.screen)
	}
	if next := keys(m, "down"); next.screen != onDetail || next.cursor != sampletest.SlowPeer {
		t.Errorf("down shows %d", next.cursor)
	}
	m = send(m, frameMsg{frame: view.Frame{}})
	if m.screen != onTable {
		t.Error("is still shown")
	}
}

func TestPauseStopsFetchingAndTicksGoOn(t *testing.T) {
	fetched := 0
	m := New(text.Title{}, time.Nanosecond, func() (view.Frame, error) {
		fetched++
		return view.Frame{}, nil
	})
	run := func(m Model, msg tea.Msg) (Model, tea.Msg) {
		next, cmd := m.Update(msg)
		if cmd == nil {
			t.Fatalf("nothing follows %T", msg)
		}
		return next.(Model), cmd()
	}
	m, msg := run(m, tickMsg{})
	if _, ok := msg.(frameMsg); !ok || fetched != 1 {
		t.Fatalf("a tick is followed by %T", msg)
	}
	if _, again := run(m, tickMsg{}); fetched != 1 {
		t.Errorf("a frame was fetched while another was: %T", again)
	}
	m, msg = run(m, msg)
	if _, ok := msg.(tickMsg); !ok {
		t.Errorf("a frame is followed by %T", msg)
	}
	m = keys(m, "space")
	if _, msg = run(m, tickMsg{}); fetched != 1 {
		t.Error("a frame was fetched while paused")
	}
	if _, ok := msg.(tickMsg); !ok {
		t.Errorf("a paused tick is followed by %T", msg)
	}
}

func TestAnErrorIsShownAndTheLastFrameStays(t *testing.T) {
	m := send(model(6), frameMsg{err: errors.New("process is gone")})
	if s := screenOf(m); !strings.Contains(s, "process is gone") ||
		!strings.Contains(s, "127.0.0.1:40008") {
		t.Errorf("the screen is\n%s", s)
	}
}

func TestQuitting(t *testing.T) {
	for _, k := range []tea.KeyPressMsg{{Code: 'q', Text: "q"}, {Code: 'c', Mod: tea.ModCtrl}} {
		_, cmd := model(1).Update(k)
		if cmd == nil {
			t.Fatalf("%s does nothing", k)
		}
		if _, ok := cmd().(tea.QuitMsg); !ok {
			t.Errorf("%s does not quit", k)
		}
	}
}

func TestTheIntervalStaysWithinItsBounds(t *testing.T) {
	m := model(1)
	for range 10 {
		m = keys(m, "+")
	}
	if m.interval != intervalMin {
		t.Errorf("the shortest is %v", m.interval)
	}
	for range 20 {
		m = keys(m, "-")
	}
	if m.interval != intervalMax {
		t.Errorf("the longest is %v", m.interval)
	}
}

func TestThePastIsBoundedAndForgetsWhatIsGone(t *testing.T) {
	m := model(1)
	frame := m.frame
	for range pastMax + 10 {
		m = send(m, frameMsg{frame: frame})
	}
	if n := len(m.past[sampletest.Healthy]); n != pastMax {
		t.Errorf("keeps %d moments", n)
	}
	if m = send(m, frameMsg{}); len(m.past) != 0 {
		t.Errorf("remembers %d that are gone", len(m.past))
	}
}

func TestColoursChangeNoText(t *testing.T) {
	for _, dark := range []bool{false, true} {
		m := model(6)
		plain := m.lines()
		m.theme = themeFor(dark)
		for i, line := range m.lines() {
			if got := strip(line); got != plain[i] {
				t.Errorf("line %d is %q, not %q", i, got, plain[i])
			}
		}
	}
}

// strip removes escape sequences of colours.
func strip(s string) string {
	var b strings.Builder
	for s != "" {
		before, after, found := strings.Cut(s, "\x1b[")
		b.WriteString(before)
		if !found {
			break
		}
		_, s, _ = strings.Cut(after, "m")
	}
	return b.String()
}
