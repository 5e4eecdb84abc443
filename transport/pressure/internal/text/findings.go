package text

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/sluice-net/sluice/transport/pressure"
)

// Findings writes findings, each with its evidence and its remedy.
func Findings(w io.Writer, findings []pressure.Finding) error {
	if len(findings) == 0 {
		_, err := fmt.Fprintln(w, "Nothing found: no connection is held back, nothing was lost.")
		return err
	}
	var b strings.Builder
	for i, f := range findings {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s: %s: %s\n", f.Severity, f.Name, f.Subject)
		fmt.Fprintf(&b, "    seen    %s\n", f.Evidence)
		fmt.Fprintf(&b, "    remedy  %s\n", f.Remedy)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Support writes what can be traced, probe by probe, and in the end what is in
// the way of the others.
func Support(w io.Writer, s pressure.Support) error {
	fmt.Fprintf(w, "Linux %s: the best level is %s\n", s.Kernel, s.Level)
	if s.Err != nil {
		fmt.Fprintf(w, "%v\n", s.Err)
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "LEVEL\tPROBE\tHOOK\tSTATE\tWHY")
	for _, p := range s.Probes {
		why := p.Why
		if p.Remedy != "" {
			why = strings.TrimPrefix(why+"; "+p.Remedy, "; ")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", p.Level, p.Name, p.Hook, p.Status, why)
	}
	return table.Flush()
}

// JSON writes v for programs.
func JSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
