package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/transport/pressure/internal/text"
	"github.com/sluice-net/sluice/transport/pressure/internal/tui"
)

// top shows a live table, or prints tables where out is no terminal.
func top(ctx context.Context, args []string, out, log io.Writer) error {
	a := newArguments("top", "-p PID", log)
	var l looking
	l.add(a)
	interval := a.Duration("interval", time.Second, "between two looks")
	count := a.Int("n", 0, "print so many tables as plain text and end; 0: until interrupted")
	plain := a.Bool("plain", false, "print plain text on a terminal, too")
	if err := a.parse(args, 0); err != nil {
		return err
	}
	if err := checkInterval(*interval); err != nil {
		return err
	}
	s, err := l.attach(log)
	if err != nil {
		return err
	}
	defer s.Close()
	if *plain || *count > 0 || !isTerminal(out) {
		return s.print(ctx, out, *interval, *count)
	}
	model := tui.New(s.title, *interval, s.frames()).WithNote(s.limits)
	_, err = tea.NewProgram(model, tea.WithContext(ctx)).Run()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil // by a signal
	}
	return err
}

// print writes tables, count of them or without end. The first look is not
// printed: it has nothing to compare with.
func (s *session) print(ctx context.Context, out io.Writer, interval time.Duration,
	count int) error {
	next := s.frames()
	first, err := next()
	if err != nil {
		return err
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for printed := 0; count == 0 || printed < count; printed++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		f, err := next()
		if errors.Is(err, os.ErrProcessDone) {
			fmt.Fprintln(out, err)
			return nil
		}
		if err != nil {
			return err
		}
		if err := text.Frame(out, s.title, f, f.Time-first.Time); err != nil {
			return err
		}
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
