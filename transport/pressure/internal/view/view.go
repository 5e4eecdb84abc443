// Package view turns what pressure finds into what is shown: for each
// connection the places that its bytes pass through, how full each of them is,
// and which of them is the narrowest. It is pure: same data, same view.
package view

import (
	"math"
	"net/netip"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
)

// A Frame is everything that is shown of one moment.
type Frame struct {
	// Time is that of the snapshot; Span how long the accounts cover, 0 if there
	// are none yet.
	Time time.Duration
	Span time.Duration
	// Conns are in the order of descriptors, Resources in the order of Kinds.
	Conns     []Conn
	Resources []Resource
}

// Held returns how many connections are held back.
func (f Frame) Held() int {
	n := 0
	for _, c := range f.Conns {
		if c.Held() > 0 {
			n++
		}
	}
	return n
}

// A Conn is a connection as it is shown.
type Conn struct {
	// FD, Cookie, Local and Remote say which.
	FD            int
	Cookie        uint64
	Local, Remote netip.AddrPort
	// Listener is the address that it came in on, "" if it was made from here.
	Listener string
	// State is "open", or what else the transport or TCP says.
	State string
	// Out is what this process sends, In what it receives.
	Out, In Lane
	// Raw is where it is from.
	Raw pressure.Conn
}

// Held returns the larger share of time that a direction was held back for by a
// cause that leads or by several, 0 if both verdicts are idle.
func (c Conn) Held() float64 { return max(c.Out.Held(), c.In.Held()) }

// A Lane is one direction of a connection.
type Lane struct {
	// Places are those of the names in Places, from the application outwards.
	Places [Width]Place
	// Narrowest is the index of the one that holds the lane back, -1 if none does.
	Narrowest int
	// Cause is the verdict, Reason the evidence for it.
	Cause  pressure.Cause
	Reason string
	// Shares are those of the causes in the span of the frame; zero at first.
	Shares pressure.Shares
	// Rate is in bytes a second.
	Rate float64
	// Paused says that the protocol does not write, or that nobody reads.
	Paused bool
}

// Held returns the share of time that is not idle, 0 if the verdict is idle.
func (l Lane) Held() float64 {
	if l.Cause == pressure.CauseIdle {
		return 0
	}
	return l.Shares.Waiting()
}

// Lead returns the cause with the largest share but idle, and its share.
func (l Lane) Lead() (cause pressure.Cause, share float64) {
	for c := pressure.CauseApp; int(c) < pressure.Causes; c++ {
		if l.Shares[c] > share {
			cause, share = c, l.Shares[c]
		}
	}
	return cause, share
}

// Width is how many places a lane has.
const Width = 6

// Places are their names, from the application outwards: where bytes go out they
// pass them from left to right, where they come in from right to left.
var Places = [Width]string{"app", "buffer", "ring", "queue", "net", "peer"}

// The indexes of the places.
const (
	App = iota
	Buffer
	Ring
	Queue
	Net
	Peer
)

// A Place is where bytes may have to wait.
type Place struct {
	// Fill is how full it is, from 0 to 1, or for how much of the time it held the
	// lane back where it has no size. NaN where it is not known.
	Fill float64
	// Text is that in numbers, "" where there is nothing to say.
	Text string
}

// unknown is a place of which nothing is known.
var unknown = Place{Fill: math.NaN()}

// placeOf says at which place a cause is, going out and coming in.
func placeOf(c pressure.Cause, out bool) int {
	switch c {
	case pressure.CauseApp, pressure.CauseLoop:
		return App
	case pressure.CauseBuffers:
		return Buffer
	case pressure.CauseRing:
		return Ring
	case pressure.CauseSndBuf:
		return Queue
	case pressure.CauseNet:
		if out {
			return Net
		}
		return Peer
	case pressure.CausePeer:
		return Peer
	}
	return -1
}
