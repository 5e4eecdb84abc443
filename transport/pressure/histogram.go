package pressure

import "math"

// HistogramKind is the quantity that a Histogram measures.
type HistogramKind uint8

// The kinds of histograms.
const (
	// HistogramLatency: nanoseconds from submission to completion of ring requests,
	// by opcode, for one in Options.SampleLatency requests (LevelRing).
	HistogramLatency HistogramKind = iota
	// HistogramBatch: completions processed at once by task work (LevelRing).
	HistogramBatch
	// HistogramWait: completions that a process waits for before it wakes
	// (LevelRing).
	HistogramWait
	// HistogramSojourn: nanoseconds from the arrival of data to the read that takes
	// it (LevelFlow, seen on Linux 6.12 and 6.18).
	HistogramSojourn

	histogramKinds
)

var histogramNames = []string{"latency", "batch", "wait", "sojourn"}

// String returns the kind's name, such as "latency".
func (k HistogramKind) String() string { return nameOf(histogramNames, k) }

// MarshalText encodes k as its String.
func (k HistogramKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText decodes what String returns.
func (k *HistogramKind) UnmarshalText(text []byte) error {
	return parseName(histogramNames, "histogram", text, k)
}

// histogramSlots is the number of powers of two in a Histogram.
const histogramSlots = 64

// Histogram counts values by powers of two.
type Histogram struct {
	// Kind and Op are what was asked for.
	Kind HistogramKind `json:"kind"`
	Op   uint8         `json:"op"`
	// Slots[i] counts the values v with 2^i ≤ v < 2^(i+1); 0 counts in Slots[0].
	Slots [histogramSlots]uint64 `json:"slots"`
}

// Count returns the number of values counted.
func (h Histogram) Count() uint64 {
	count := uint64(0)
	for _, n := range h.Slots {
		count += n
	}
	return count
}

// Quantile returns a value that the fraction q of all values does not exceed,
// interpolated within a power of two, or 0 if nothing was counted.
func (h Histogram) Quantile(q float64) float64 {
	rank := q * float64(h.Count())
	for i, n := range h.Slots {
		if n == 0 || rank > float64(n) {
			rank -= float64(n)
			continue
		}
		low := math.Ldexp(1, i)
		return low + low*max(rank, 0)/float64(n)
	}
	return 0
}
