package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/record"
	"github.com/sluice-net/sluice/transport/pressure/internal/report"
	"github.com/sluice-net/sluice/transport/pressure/internal/text"
	"github.com/sluice-net/sluice/transport/pressure/internal/waiting"
)

// recordInterval is the time between two moments of a recording.
const recordInterval = 200 * time.Millisecond

// recordTrace writes a recording.
func recordTrace(ctx context.Context, args []string, _, log io.Writer) error {
	a := newArguments("record", "-p PID [-o trace.json]", log)
	var l looking
	l.add(a)
	name := a.String("o", "trace.json", "the `file` to write")
	duration := a.Duration("duration", 10*time.Second, "for how long; an interrupt ends it sooner")
	interval := a.Duration("interval", recordInterval, "between two moments")
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
	r, err := s.record(ctx, *duration, *interval)
	if err != nil {
		return err
	}
	if err := create(*name, r.Write); err != nil {
		return err
	}
	fmt.Fprintf(log, "%s: %d moments, %d connections, %d events\n", *name, len(r.Moments),
		len(r.Totals()), len(r.Events))
	return nil
}

// makeReport draws a recording.
func makeReport(_ context.Context, args []string, _, log io.Writer) error {
	a := newArguments("report", "trace.json [-o report.html] [-diff other.json]", log)
	name := a.String("o", "report.html", "the `file` to write; if it ends with .svg, a picture")
	other := a.String("diff", "", "an earlier `recording` to compare with")
	count := a.Int("connections", 6, "how many connections a picture has")
	if err := a.parse(args, 1); err != nil {
		return err
	}
	if a.file() == "" {
		return fmt.Errorf("which recording? %w", errUsage)
	}
	r, err := open(a.file())
	if err != nil {
		return err
	}
	var before *record.Recording
	if *other != "" {
		if before, err = open(*other); err != nil {
			return err
		}
	}
	return create(*name, func(w io.Writer) error {
		if filepath.Ext(*name) == ".svg" {
			return report.WriteSVG(w, r, *count)
		}
		return report.Write(w, r, before)
	})
}

// doctor prints what is wrong.
func doctor(ctx context.Context, args []string, out, log io.Writer) error {
	a := newArguments("doctor", "trace.json | -p PID", log)
	var l looking
	l.add(a)
	duration := a.Duration("duration", 5*time.Second, "for how long to look at a process")
	asJSON := a.Bool("json", false, "print JSON")
	strict := a.Bool("strict", false, "exit with status 1 if there is a warning or worse")
	if err := a.parse(args, 1); err != nil {
		return err
	}
	r, err := l.recording(ctx, a.file(), *duration, log)
	if err != nil {
		return err
	}
	findings := r.Findings()
	if *asJSON {
		err = text.JSON(out, append([]pressure.Finding{}, findings...)) // never null
	} else {
		err = text.Findings(out, findings)
	}
	if err == nil && *strict && len(findings) > 0 && findings[0].Severity >= pressure.Warning {
		return errFound
	}
	return err
}

// makeProfile writes a profile of waiting.
func makeProfile(ctx context.Context, args []string, _, log io.Writer) error {
	a := newArguments("pprof", "trace.json | -p PID [-o profile.pb.gz]", log)
	var l looking
	l.add(a)
	name := a.String("o", "profile.pb.gz", "the `file` to write")
	duration := a.Duration("duration", 10*time.Second, "for how long to look at a process")
	if err := a.parse(args, 1); err != nil {
		return err
	}
	r, err := l.recording(ctx, a.file(), *duration, log)
	if err != nil {
		return err
	}
	if err := create(*name, waiting.Profile(r).Write); err != nil {
		return err
	}
	fmt.Fprintf(log, "%s: read it with go tool pprof -top %s, or -http=:0\n", *name, *name)
	return nil
}

// listProbes prints what can be traced.
func listProbes(_ context.Context, args []string, out, log io.Writer) error {
	a := newArguments("probes", "[-json]", log)
	asJSON := a.Bool("json", false, "print JSON")
	if err := a.parse(args, 0); err != nil {
		return err
	}
	s := pressure.Probe()
	if !*asJSON {
		return text.Support(out, s)
	}
	missing := ""
	if s.Err != nil {
		missing = s.Err.Error()
	}
	return text.JSON(out, struct {
		pressure.Support
		Missing string `json:"missing,omitempty"`
	}{s, missing})
}
