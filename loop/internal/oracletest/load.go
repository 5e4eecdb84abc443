package oracletest

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
)

//go:embed scenarios/*.json testdata/*.jsonl testdata/VERSION
var files embed.FS

// StatementMax is the number of the contract's last statement.
const StatementMax = 452

// Side is whose trace a file of testdata holds.
type Side string

// The sides.
const (
	Asyncio Side = "asyncio" // recorded by record.py
	Sluice  Side = "sluice"  // written by hand, only where there is a deviation
)

// Files is the directory tree with the scenarios and traces of this package.
func Files() fs.FS { return files }

// Load reads and checks all scenarios below directory scenarios, ordered by
// file and by their place in it. An error names the file and the scenario.
func Load(fsys fs.FS) ([]Scenario, error) {
	names, err := fs.Glob(fsys, "scenarios/*.json")
	if err != nil {
		return nil, err
	}
	var all []Scenario
	seen := map[string]bool{}
	for _, name := range names {
		loaded, err := loadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, s := range loaded {
			if err := s.check(); err != nil {
				return nil, fmt.Errorf("%s: scenario %q: %w", name, s.ID, err)
			}
			if seen[s.ID] {
				return nil, fmt.Errorf("%s: scenario %q is there twice", name, s.ID)
			}
			seen[s.ID] = true
		}
		all = append(all, loaded...)
	}
	return all, nil
}

func loadFile(fsys fs.FS, name string) ([]Scenario, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var list []Scenario
	if err := d.Decode(&list); err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Level == "" {
			list[i].Level = Exact
		}
	}
	return list, nil
}

// ReadTrace reads a trace. The error is fs.ErrNotExist where there is none.
func ReadTrace(fsys fs.FS, id string, side Side) ([]Event, error) {
	data, err := fs.ReadFile(fsys, path.Join("testdata", id+"."+string(side)+".jsonl"))
	if err != nil {
		return nil, err
	}
	var events []Event
	for line := range bytes.Lines(data) {
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		var e Event
		if err := d.Decode(&e); err != nil {
			return nil, fmt.Errorf("%s, event %d: %w", id, len(events)+1, err)
		}
		events = append(events, e)
	}
	return events, nil
}

// Want reads the trace that ours must be equal to: asyncio's, or our own where
// the scenario has a deviation.
func (s Scenario) Want(fsys fs.FS) ([]Event, error) {
	if s.Deviation != nil {
		return ReadTrace(fsys, s.ID, Sluice)
	}
	return ReadTrace(fsys, s.ID, Asyncio)
}

var (
	kebab  = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	number = regexp.MustCompile(`^X([1-9]|1[0-9]|2[0-6])$`)
)

// check reports what a scenario says that makes no sense.
func (s Scenario) check() error {
	switch {
	case !kebab.MatchString(s.ID):
		return errors.New("the id is not in kebab-case")
	case s.Title == "" || len(s.Statements) == 0 || len(s.Steps) == 0:
		return errors.New("needs a title, statements and steps")
	case !slices.Contains([]Level{Exact, Partial, Invariants}, s.Level):
		return fmt.Errorf("no level %q", s.Level)
	case !slices.Contains([]Kind{SocketPair, TCPServer, TCPClient, NoConn, IdleLoop}, s.Transport):
		return fmt.Errorf("no transport %q", s.Transport)
	}
	for _, n := range s.Statements {
		if n < 1 || n > StatementMax {
			return fmt.Errorf("no statement %d", n)
		}
	}
	return errors.Join(s.Deviation.check(), s.checkSteps(), s.checkHooks())
}

func (d *Deviation) check() error {
	if d == nil {
		return nil
	}
	n, err := strconv.Atoi(d.Number)
	if !number.MatchString(d.Number) && (err != nil || n < 1 || n > StatementMax) {
		return fmt.Errorf("deviation %q is neither X1 to X26 nor a statement", d.Number)
	}
	if d.Why == "" {
		return errors.New("a deviation needs a reason")
	}
	return nil
}

func (s Scenario) checkSteps() error {
	held := false
	for i, step := range s.Steps {
		_, done := doSteps[step.Step]
		_, waits := waitSteps[step.Step]
		switch {
		case !done && !waits:
			return fmt.Errorf("step %d: no step %q", i+1, step.Step)
		case waits && (held || step.Hold):
			return fmt.Errorf("step %d: %s neither holds nor follows a held step", i+1, step.Step)
		case step.Hold && i == len(s.Steps)-1:
			return fmt.Errorf("step %d: nothing follows the held step", i+1)
		}
		held = step.Hold
		if err := errors.Join(checkActions(step.Do), checkActions(step.Then)); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

func (s Scenario) checkHooks() error {
	for _, h := range s.Hooks {
		if !slices.Contains(callbackNames, h.On) {
			return fmt.Errorf("no callback %q", h.On)
		}
		if err := checkActions(h.Do); err != nil {
			return fmt.Errorf("hook on %s: %w", h.On, err)
		}
	}
	return nil
}

func checkActions(actions []Action) error {
	for _, a := range actions {
		_, called := calls[a.Do]
		_, observed := observations[a.Do]
		if !called && !observed && !slices.Contains(controls, a.Do) {
			return fmt.Errorf("no action %q", a.Do)
		}
		if err := checkActions(a.Then); err != nil {
			return err
		}
	}
	return nil
}
