package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"one value", []float64{3}, 3},
		{"odd count, unsorted", []float64{9, 1, 5}, 5},
		{"even count is the mean of the middle two", []float64{4, 1, 2, 9}, 3},
		{"an outlier does not move it", []float64{1, 1, 1, 1, 1e9}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := slices.Clone(c.values)
			if got := Median(c.values); got != c.want {
				t.Errorf("Median(%v) = %v, want %v", c.values, got, c.want)
			}
			if !slices.Equal(before, c.values) {
				t.Errorf("Median reordered its argument to %v", c.values)
			}
		})
	}
	if got := Median(nil); !math.IsNaN(got) {
		t.Errorf("Median of nothing = %v, want NaN", got)
	}
}

// The ranks are those of the published tables of the sign test.
func TestRankAgreesWithTheTables(t *testing.T) {
	for n, want := range map[int]int{1: 1, 5: 1, 6: 1, 8: 1, 9: 2, 10: 2, 12: 3, 15: 4, 20: 6,
		25: 8, 30: 10, 40: 14, 50: 18, 100: 40} {
		if got := rank(n); got != want {
			t.Errorf("rank(%d) = %d, want %d", n, got, want)
		}
	}
}

func TestMedianInterval(t *testing.T) {
	values := []float64{12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	got := MedianInterval(values)
	if want := (Interval{6.5, 3, 10, 12}); got != want {
		t.Errorf("MedianInterval = %v, want %v", got, want)
	}
	if got := MedianInterval([]float64{3, 1, 2}); got != (Interval{2, 1, 3, 3}) {
		t.Errorf("of three values: %v, want the smallest to the largest", got)
	}
	if got := MedianInterval(nil); !math.IsNaN(got.Median) || got.Count != 0 {
		t.Errorf("of nothing: %v, want NaN", got)
	}
}

// The interval must hold the true median in about 95 of 100 experiments,
// however skewed the noise is.
func TestIntervalCoversTheMedian(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const experiments = 2000
	covered := 0
	for range experiments {
		values := make([]float64, 25)
		for i := range values {
			values[i] = rng.ExpFloat64()
		}
		if i := MedianInterval(values); i.Low <= math.Ln2 && math.Ln2 <= i.High {
			covered++
		}
	}
	if share := float64(covered) / experiments; share < 0.94 || share > 0.975 {
		t.Errorf("the interval covered the median in %.3f of the experiments", share)
	}
}

func TestOverlaps(t *testing.T) {
	a := Interval{Median: 1, Low: 0.9, High: 1.1}
	for _, c := range []struct {
		low, high float64
		want      bool
	}{{1.05, 1.3, true}, {1.1, 1.2, true}, {1.2, 1.3, false}, {0.1, 0.2, false}, {0, 2, true}} {
		b := Interval{Low: c.low, High: c.high}
		if a.Overlaps(b) != c.want || b.Overlaps(a) != c.want {
			t.Errorf("[0.9, 1.1] overlaps [%v, %v]: want %v", c.low, c.high, c.want)
		}
	}
}

func TestRatios(t *testing.T) {
	if got := Ratios([]float64{1, 4}, []float64{2, 2}); !slices.Equal(got, []float64{0.5, 2}) {
		t.Errorf("Ratios = %v", got)
	}
}
