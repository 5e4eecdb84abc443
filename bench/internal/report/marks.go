package report

import (
	"slices"
	"strings"

	"github.com/sluice-net/sluice/bench/internal/result"
)

// A mark is a shape. Contestants differ by it as well as by colour, so that a chart can
// be read without seeing colours.
type mark string

const (
	circle  mark = "circle"
	ring    mark = "ring"
	square  mark = "square"
	diamond mark = "diamond"
	peak    mark = "peak"
	valley  mark = "valley"
	plus    mark = "plus"
	cross   mark = "cross"
	frame   mark = "frame"  // a square with a hole
	kite    mark = "kite"   // a diamond with a hole
	tent    mark = "tent"   // a peak with a hole
	funnel  mark = "funnel" // a valley with a hole
	target  mark = "target" // a ring with a dot
	lens    mark = "lens"   // a diamond with a dot
	stroke  mark = "stroke" // upright
	spark   mark = "spark"  // a plus and a cross
	hour    mark = "hour"   // an hourglass
	dash    mark = "dash"   // a flat bar
)

// fixed are the marks of the contestants that this program knows.
var fixed = map[string]mark{
	"net": square, "uring": circle, "epoll": diamond, "uring-2": target, "epoll-2": lens,
	"c-epoll": peak, "c-uring": valley, "haproxy": plus, "haproxy-splice": cross,
	"gnet": frame, "netpoll": kite, "nbio": tent,
}

// spare are those that others get, such as other builds, in order.
var spare = []mark{funnel, spark, stroke, hour, dash}

// marks gives each contestant of a run a mark of its own, as long as there are any.
func marks(f *result.File) map[string]mark {
	out, left := map[string]mark{}, slices.Clone(spare)
	for _, w := range f.Workloads {
		for _, r := range w.Rows {
			if _, done := out[r.Contestant]; done {
				continue
			}
			shape, known := fixed[r.Contestant]
			switch {
			case known:
			case strings.HasSuffix(r.Contestant, "-again"):
				shape = ring
			default:
				shape, left = left[0], append(left[1:], left[0])
			}
			out[r.Contestant] = shape
		}
	}
	return out
}
