package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/sluice-net/sluice/bench/internal/overhead"
)

// Rounds of the overhead's measurement.
const (
	overheadRounds      = 41
	overheadSmokeRounds = 3
)

// errOverhead: tracing costs more than is promised.
var errOverhead = errors.New("tracing costs more than is promised")

// measureOverhead prints what tracing costs. With -smoke a ratio beyond the limit is
// no error: three rounds prove nothing.
func measureOverhead(cfg *config) error {
	rounds := overheadRounds
	if cfg.smoke {
		rounds = overheadSmokeRounds
	}
	var results []overhead.Result
	beyond := false
	err := overhead.Measure(context.Background(), rounds, func(r overhead.Result) {
		results = append(results, r)
		beyond = beyond || r.Beyond()
		fmt.Fprintf(os.Stderr, "%s, %s: %.3f\n", r.Workload, r.Level.Name, r.Median)
	})
	if err != nil {
		return err
	}
	fmt.Printf("CPU time of the traced thread, attached to detached, %d rounds\n\n", rounds)
	if err := overhead.Print(os.Stdout, results); err != nil {
		return err
	}
	if beyond && !cfg.smoke {
		return errOverhead
	}
	return nil
}
