// Package stats holds the little statistics that the benchmark needs: medians,
// and intervals that assume nothing about how noise is distributed.
package stats

import (
	"fmt"
	"math"
	"slices"
)

// confidence is what an interval aims at.
const confidence = 0.95

// An Interval is an estimate and how far it may be off.
type Interval struct {
	Median float64 `json:"median"` // the estimate
	Low    float64 `json:"low"`    // it is hardly below
	High   float64 `json:"high"`   // nor above
	Count  int     `json:"count"`  // the values that it was made of
}

// String is the median with its interval, for example "0.62 [0.60, 0.65]".
func (i Interval) String() string {
	return fmt.Sprintf("%.2f [%.2f, %.2f]", i.Median, i.Low, i.High)
}

// Overlaps reports whether i and other have a value in common.
func (i Interval) Overlaps(other Interval) bool {
	return i.Low <= other.High && other.Low <= i.High
}

// Median returns the middle of values, NaN of none. values stay as they are.
func Median(values []float64) float64 {
	return middle(slices.Sorted(slices.Values(values)))
}

func middle(sorted []float64) float64 {
	n := len(sorted)
	switch {
	case n == 0:
		return math.NaN()
	case n%2 == 1:
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// MedianInterval returns the median of values and its 95 % interval by order
// statistics: with n independent values the median lies between the k-th
// smallest and the k-th largest unless fewer than k fell on one side of it,
// and that is a toss of n coins. Below six values no pair covers 95 %, and the
// interval is from the smallest to the largest.
func MedianInterval(values []float64) Interval {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return Interval{math.NaN(), math.NaN(), math.NaN(), 0}
	}
	k := rank(len(sorted))
	return Interval{middle(sorted), sorted[k-1], sorted[len(sorted)-k], len(sorted)}
}

// rank returns the largest k >= 1 for which at most (1-confidence)/2 of the
// tosses of n coins show fewer than k heads.
func rank(n int) int {
	tail, k := 0.0, 0
	for k <= n/2 {
		tail += binomial(n, k)
		if tail > (1-confidence)/2 {
			break
		}
		k++
	}
	return max(k, 1)
}

// binomial returns the probability of k heads of n coins.
func binomial(n, k int) float64 {
	return math.Exp(lgamma(n+1) - lgamma(k+1) - lgamma(n-k+1) - float64(n)*math.Ln2)
}

func lgamma(n int) float64 {
	v, _ := math.Lgamma(float64(n))
	return v
}

// Ratios returns the quotients of the values at the same index. They must be
// of one length.
func Ratios(values, base []float64) []float64 {
	out := make([]float64, len(values))
	for i := range values {
		out[i] = values[i] / base[i]
	}
	return out
}
