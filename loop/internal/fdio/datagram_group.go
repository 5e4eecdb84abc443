package fdio

import "syscall"

// Groups of datagrams that are sent as one piece, which the kernel or the network card
// splits (UDP_SEGMENT). The peer sees the same datagrams.
//
//	grouping --a group is refused--> in doubt, the group is split
//	in doubt --its first datagram is sent--> grouping shorter ones | not grouping
//	         --that is refused too---------> grouping
//
// EINVAL means that one datagram does not fit into a packet on the route and would have
// to be fragmented. Any other error that a single datagram does not get, such as EIO,
// means that the device on the route does not support groups: it must be able to compute
// checksums.

// ungroup splits the first group if it may have been refused because it is a group.
func (d *Datagram) ungroup(segment int, errno syscall.Errno) bool {
	switch errno {
	case syscall.EINVAL, syscall.EIO, syscall.EMSGSIZE, syscall.EOPNOTSUPP:
		d.out.split()
		d.doubt, d.doubtErr = segment, errno
		return true
	}
	return false
}

// settleDoubt draws the conclusion after a datagram that had been refused in a group was
// sent alone.
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
