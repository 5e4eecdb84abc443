package fdio

import "syscall"

// Groups of datagrams that are sent in one piece, which the kernel or the network
// card cuts (UDP_SEGMENT). The peer sees the same datagrams.
//
//	grouping --a group is refused--> in doubt, the group is split
//	in doubt --its first datagram is sent--> grouping shorter ones | not grouping
//	         --that is refused too---------> grouping
//
// EINVAL means that one datagram does not fit into a packet of the route, which
// would have to be fragmented; anything else that a single datagram does not meet,
// such as EIO, that the device on the route cannot do it: it must be able to compute
// checksums.

// ungroup splits the first group where its being a group may be why it was
// refused.
func (d *Datagram) ungroup(segment int, errno syscall.Errno) bool {
	switch errno {
	case syscall.EINVAL, syscall.EIO, syscall.EMSGSIZE, syscall.EOPNOTSUPP:
		d.out.split()
		d.doubt, d.doubtErr = segment, errno
		return true
	}
	return false
}

// settleDoubt draws the conclusion from a datagram that was sent alone and had
// been refused in a group.
func (d *Datagram) settleDoubt() {
	if d.doubt == 0 {
		return
	}
	grouped := d.out.segmentMax > 0 // a group that was queued before is no news
	d.out.segmentMax = min(d.out.segmentMax, d.doubt-1)
	if d.doubtErr != syscall.EINVAL && grouped {
		d.out.segmentMax = 0
		d.host.Fallback("UDP_SEGMENT", d.endpoint.opError("write", "sendmmsg", d.doubtErr))
	}
	d.doubt = 0
}
