package opener

import (
	"fmt"
	"net"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// prepare sets the options of the socket and joins the groups.
func (b *datagramBinding) prepare(fd int, family proactor.Family) error {
	o, engine := &b.opts, b.host.Engine()
	ttl, loopBack := proactor.MulticastTTL, proactor.MulticastLoop
	if family == proactor.IPv6 {
		ttl, loopBack = proactor.MulticastHops, proactor.MulticastLoop6
	}
	for _, opt := range []struct {
		on     bool
		option proactor.Option
		value  int
	}{
		{o.ReusePort, proactor.ReusePort, 1},
		{o.Broadcast, proactor.Broadcast, 1},
		{o.SendBuffer != 0, proactor.SendBuffer, o.SendBuffer},
		{o.ReceiveBuffer != 0, proactor.ReceiveBuffer, o.ReceiveBuffer},
		{o.MulticastTTL != 0, ttl, o.MulticastTTL},
		{o.NoMulticastLoop, loopBack, 0},
	} {
		if !opt.on {
			continue
		}
		if err := engine.SetOption(fd, opt.option, opt.value); err != nil {
			return err
		}
	}
	return b.join(fd, family)
}

// join joins the groups and chooses the interface.
func (b *datagramBinding) join(fd int, family proactor.Family) error {
	index := 0
	if name := b.opts.Interface; name != "" {
		in, err := net.InterfaceByName(name)
		if err != nil {
			return fmt.Errorf("interface %q: %w", name, err)
		}
		index = in.Index
		if err := b.host.Engine().MulticastFrom(fd, family, index); err != nil {
			return err
		}
	}
	for _, group := range b.opts.JoinGroups {
		if err := b.host.Engine().JoinGroup(fd, group.Unmap(), index); err != nil {
			return fmt.Errorf("join %v: %w", group, err)
		}
	}
	return nil
}

// offload turns on what there is of GSO, GRO and RecvErr.
func (b *datagramBinding) offload(c *fdio.DatagramConfig, family proactor.Family) {
	o, engine := &b.opts, b.host.Engine()
	if o.GSO {
		_, err := engine.GetOption(c.FD, proactor.Segmentation)
		c.Group = b.have("UDP_SEGMENT", "Linux 4.18", err)
	}
	if o.GRO || o.Sock != nil && b.isOn(c.FD, proactor.Coalesce) {
		var err error
		if size := b.host.BufferSize(); size < coalescedMin {
			err = fmt.Errorf("receive buffers of %d bytes are too small for it: "+
				"raise BufferOptions.Size to %d", size, coalescedMin)
		} else {
			err = engine.SetOption(c.FD, proactor.Coalesce, 1)
		}
		c.Coalesced = b.have("UDP_GRO", "Linux 5.0", err)
	}
	if o.RecvErr {
		c.RecvErr = engine.SetOption(c.FD, proactor.RecvErr, 1) == nil
		if family == proactor.IPv6 {
			err := engine.SetOption(c.FD, proactor.RecvErr6, 1)
			c.RecvErr = c.RecvErr || err == nil
		}
	}
	c.RecvErr = c.RecvErr || o.Sock != nil && b.hasQueue(c.FD, family)
}

// hasQueue reports whether the maker of a socket turned RecvErr on: what nobody
// takes out of the queue would count as ready for ever.
func (b *datagramBinding) hasQueue(fd int, family proactor.Family) bool {
	option := proactor.RecvErr
	if family == proactor.IPv6 {
		option = proactor.RecvErr6
	}
	return b.isOn(fd, option)
}

func (b *datagramBinding) isOn(fd int, option proactor.Option) bool {
	on, err := b.host.Engine().GetOption(fd, option)
	return err == nil && on != 0
}

// coalescedMin is the size of the longest piece that UDP_GRO makes.
const coalescedMin = 64 << 10

// have reports whether there was no error, and tells the trace of one.
func (b *datagramBinding) have(feature, since string, err error) bool {
	if err == nil {
		return true
	}
	b.host.Fallback(feature, fmt.Errorf("%w: %s (%s): %w; the endpoint does without",
		proactor.ErrNotSupported, feature, since, err))
	return false
}
