package loop

import (
	"fmt"
	"math"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// A bound is the range that one number in a user's options must be in.
type bound struct {
	name  string
	value int64
	most  int64 // the least is 0
}

// unbounded is the bound of a duration or a size that may be as large as its type allows:
// times saturate (see proactor.Later), and sizes are only compared with actual sizes.
const unbounded = math.MaxInt64

// check returns an error that wraps ErrBadOption and names the first option that is out
// of its bounds, or nil. of is the name of the options' type.
func check(of string, bounds ...bound) error {
	for _, b := range bounds {
		switch {
		case b.value < 0:
			return fmt.Errorf("%w: %s.%s %d is negative", ErrBadOption, of, b.name, b.value)
		case b.value > b.most:
			return fmt.Errorf("%w: %s.%s %d is beyond %d", ErrBadOption, of, b.name, b.value,
				b.most)
		}
	}
	return nil
}

// check returns an error if a number is out of its range or the TLS options cannot be
// used.
func (o *ServerOptions) check() error {
	if o.TLS != nil {
		if err := o.tls().Check(); err != nil {
			return err
		}
	}
	return check("ServerOptions",
		bound{"Backlog", int64(o.Backlog), unbounded},
		bound{"CloseTimeout", int64(o.CloseTimeout), unbounded},
		bound{"IdleTimeout", int64(o.IdleTimeout), unbounded},
		bound{"MaxConns", int64(o.MaxConns), unbounded},
		bound{"WriteCap", int64(o.WriteCap), unbounded})
}

// check is like that of ServerOptions, but does not check TLS, because the server's name
// may come from the address.
func (o *ConnectionOptions) check() error {
	return check("ConnectionOptions",
		bound{"CloseTimeout", int64(o.CloseTimeout), unbounded},
		bound{"IdleTimeout", int64(o.IdleTimeout), unbounded},
		bound{"WriteCap", int64(o.WriteCap), unbounded})
}

// check is like that of ServerOptions. The kernel takes sizes as C ints.
func (o *DatagramOptions) check() error {
	return check("DatagramOptions",
		bound{"MulticastTTL", int64(o.MulticastTTL), math.MaxUint8},
		bound{"SendBuffer", int64(o.SendBuffer), math.MaxInt32},
		bound{"ReceiveBuffer", int64(o.ReceiveBuffer), math.MaxInt32},
		bound{"WriteCap", int64(o.WriteCap), unbounded})
}

// relayPipesUsual is how many pipes of relays a loop may have unless Options says it. All
// of them together are half of what the pipes of an unprivileged user may hold before the
// kernel makes new ones small (/proc/sys/fs/pipe-user-pages-soft).
const relayPipesUsual = 64

// The upper bounds of Options. Each loop has a thread, and the Go runtime ends a program
// that has more than 10,000 of them. All buffers together must fit in the address space.
const (
	loopsMax       = 4096
	entriesMax     = 32768
	relayPipesMax  = 32768
	buffersMax     = 32768
	bufferSizeMax  = 1 << 30
	bufferBytesMax = min(1<<40, math.MaxInt/2)
)

func (o *Options) validate() error {
	b := &o.Buffers
	err := check("Options",
		bound{"Engine", int64(o.Engine), int64(sim)},
		bound{"Loops", int64(o.Loops), loopsMax},
		bound{"Entries", int64(o.Entries), entriesMax},
		bound{"CQEntries", int64(o.CQEntries), 2 * entriesMax},
		bound{"RelayPipes", int64(o.RelayPipes), relayPipesMax},
		bound{"Buffers.Size", int64(b.Size), bufferSizeMax},
		bound{"Buffers.Min", int64(b.Min), buffersMax},
		bound{"Buffers.Max", int64(b.Max), buffersMax})
	switch {
	case err != nil:
		return err
	case o.Entries&(o.Entries-1) != 0:
		return fmt.Errorf("%w: Options.Entries %d is not a power of two", ErrBadOption, o.Entries)
	case o.CQEntries&(o.CQEntries-1) != 0:
		return fmt.Errorf("%w: Options.CQEntries %d is not a power of two", ErrBadOption,
			o.CQEntries)
	case o.CQEntries != 0 && o.CQEntries < o.Entries:
		return fmt.Errorf("%w: Options.CQEntries %d is less than Entries %d", ErrBadOption,
			o.CQEntries, o.Entries)
	case b.Max&(b.Max-1) != 0:
		return fmt.Errorf("%w: Options.Buffers.Max %d is not a power of two", ErrBadOption, b.Max)
	case b.Max > 0 && b.Min > b.Max:
		return fmt.Errorf("%w: Options.Buffers.Min %d is beyond Max %d", ErrBadOption,
			b.Min, b.Max)
	}
	c := proactor.Config{BufferSize: b.Size, BuffersMax: b.Max}.WithDefaults()
	if int64(c.BufferSize)*int64(c.BuffersMax) > bufferBytesMax {
		return fmt.Errorf("%w: Options.Buffers: %d of %d bytes are beyond %d bytes",
			ErrBadOption, c.BuffersMax, c.BufferSize, int64(bufferBytesMax))
	}
	return nil
}
