package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/record"
	"github.com/sluice-net/sluice/transport/pressure/internal/text"
	"github.com/sluice-net/sluice/transport/pressure/internal/view"
)

// A session is a tracer at work on a process.
type session struct {
	*pressure.Tracer
	title  text.Title
	limits string // why it is not the level that it could be, with the remedy
}

// attach begins to trace, and says what is in the way of more.
func (l looking) attach(log io.Writer) (*session, error) {
	if l.pid <= 0 {
		return nil, fmt.Errorf("which process? -p PID: %w", errUsage)
	}
	// Commands end when their context does; the tracer is there until they have
	// taken a last look.
	tracer, err := pressure.Attach(context.Background(), pressure.Options{PID: l.pid,
		Level: l.level, Duration: l.box})
	if err != nil {
		return nil, l.explain(err)
	}
	support := tracer.Support()
	s := &session{Tracer: tracer, title: text.Title{Process: processName(l.pid), PID: l.pid,
		Level: support.Level}}
	if support.Err != nil {
		s.limits = support.Err.Error()
		fmt.Fprintf(log, "sluicetop: %s; looking at level %s\n", s.limits, support.Level)
	}
	return s, nil
}

// explain says what would be needed to look at a process of somebody else.
func (l looking) explain(err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if needs := pressure.Probe().Err; needs != nil {
		return fmt.Errorf("%w; without, only processes of the same user can be looked at (%w)",
			needs, err)
	}
	return err
}

// processName is the name that ps shows, "process" where it cannot be read.
func processName(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return "process"
	}
	return strings.TrimSpace(string(name))
}

// accounts returns those since the last call.
func (s *session) accounts() []pressure.Account {
	var out []pressure.Account
	for a := range s.Accounts() {
		out = append(out, a)
	}
	return out
}

// frames returns a function that takes the next frame.
func (s *session) frames() func() (view.Frame, error) {
	var b view.Builder
	return func() (view.Frame, error) {
		snapshot, err := s.Snapshot()
		if err != nil {
			return view.Frame{}, s.explain(err)
		}
		return b.Next(snapshot, s.accounts()), nil
	}
}

// explain says it in words if the process is gone.
func (s *session) explain(err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s (%d) is gone: %w", s.title.Process, s.title.PID, err)
	}
	return err
}

// record looks for a while, or until ctx ends or the process is gone. It closes
// the session.
func (s *session) record(ctx context.Context, duration, interval time.Duration) (
	*record.Recording, error) {
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	host, _ := os.Hostname() // without one there is none to show
	r := &record.Recording{Version: record.Version, Process: s.title.Process, PID: s.title.PID,
		Host: host, Kernel: s.Support().Kernel, Started: time.Now().UTC().Round(0),
		Level: s.title.Level, Limits: s.limits}
	if err := r.Run(ctx, s, ticker.C); err != nil {
		return nil, s.explain(err)
	}
	return r, nil
}

// recording returns that of a file, or one of a process if no file is named.
func (l looking) recording(ctx context.Context, file string, duration time.Duration,
	log io.Writer) (*record.Recording, error) {
	if file == "" {
		s, err := l.attach(log)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(log, "looking at %s (%d) for %s\n", s.title.Process, s.title.PID,
			view.Short(duration))
		return s.record(ctx, duration, recordInterval)
	}
	if l.pid != 0 {
		return nil, fmt.Errorf("either a recording or a process: %w", errUsage)
	}
	return open(file)
}

func open(file string) (*record.Recording, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := record.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// create writes a file, and leaves none behind that is not whole.
func create(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	err = errors.Join(write(f), f.Close())
	if err != nil {
		os.Remove(name)
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
