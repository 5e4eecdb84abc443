package pressure

import (
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memInfo is what SO_MEMINFO answers (Linux 4.12, linux/sock_diag.h).
type memInfo struct {
	rmem, rcvbuf, wmem, sndbuf uint32
	_                          uint32 // memory set aside
	queued                     uint32
	_                          uint32 // option memory
	backlog, drops             uint32
}

// option gets a socket option of any type.
func option[T any](fd, level, name int) (T, bool) {
	var out T
	size := uint32(unsafe.Sizeof(out))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level),
		uintptr(name), uintptr(unsafe.Pointer(&out)), uintptr(unsafe.Pointer(&size)), 0)
	return out, errno == 0
}

// askSocket adds a socket of a known kind. use is the descriptor or a copy of it.
func askSocket(out *Snapshot, fd, use int) {
	domain, _ := unix.GetsockoptInt(use, unix.SOL_SOCKET, unix.SO_DOMAIN)
	protocol, _ := unix.GetsockoptInt(use, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	cookie, _ := unix.GetsockoptUint64(use, unix.SOL_SOCKET, unix.SO_COOKIE)
	listening, _ := unix.GetsockoptInt(use, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	mem, _ := option[memInfo](use, unix.SOL_SOCKET, unix.SO_MEMINFO)
	inet := domain == unix.AF_INET || domain == unix.AF_INET6
	switch {
	case inet && (protocol == unix.IPPROTO_TCP || protocol == unix.IPPROTO_MPTCP):
		info, ok := option[unix.TCPInfo](use, unix.IPPROTO_TCP, unix.TCP_INFO)
		if !ok {
			return
		}
		if listening != 0 {
			out.Listeners = append(out.Listeners, Listener{
				FD: fd, Cookie: cookie, Local: localName(use), Drops: uint64(mem.drops),
				Queue: int(info.Unacked), Backlog: int(info.Sacked),
				MPTCP: protocol == unix.IPPROTO_MPTCP,
			})
			return
		}
		c := connOf(&info, &mem)
		c.FD, c.Cookie, c.MPTCP = fd, cookie, protocol == unix.IPPROTO_MPTCP
		c.Local, c.Remote = localName(use), remoteName(use)
		c.OutQueue, _ = unix.IoctlGetInt(use, unix.SIOCOUTQ)
		c.InQueue, _ = unix.IoctlGetInt(use, unix.SIOCINQ)
		out.Conns = append(out.Conns, c)
	case inet && protocol == unix.IPPROTO_UDP:
		out.Datagrams = append(out.Datagrams, Datagram{
			FD: fd, Cookie: cookie, Local: localName(use), Remote: remoteName(use),
			Rmem: int(mem.rmem), RcvBuf: int(mem.rcvbuf),
			Wmem: int(mem.wmem), SndBuf: int(mem.sndbuf), Drops: uint64(mem.drops),
		})
	case domain == unix.AF_UNIX:
		askUnix(out, fd, use, cookie, &mem, listening != 0)
	}
}

func askUnix(out *Snapshot, fd, use int, cookie uint64, mem *memInfo, listening bool) {
	u := Unix{
		FD: fd, Cookie: cookie, Listening: listening,
		Wmem: int(mem.wmem), SndBuf: int(mem.sndbuf),
	}
	u.Type, _ = unix.GetsockoptInt(use, unix.SOL_SOCKET, unix.SO_TYPE)
	if name, err := unix.Getsockname(use); err == nil {
		if path, ok := name.(*unix.SockaddrUnix); ok {
			u.Path = path.Name
		}
	}
	out.Unix = append(out.Unix, u)
}

func connOf(info *unix.TCPInfo, mem *memInfo) Conn {
	us := func(n uint64) time.Duration { return time.Duration(n) * time.Microsecond }
	return Conn{
		State:  tcpState(info.State),
		Queued: int(mem.queued), SndBuf: int(mem.sndbuf), NotSent: int(info.Notsent_bytes),
		PeerWindow: int(info.Snd_wnd), Cwnd: int(info.Snd_cwnd), MSS: int(info.Snd_mss),
		InFlight: int(info.Unacked + info.Retrans - info.Sacked - info.Lost),
		SRTT:     us(uint64(info.Rtt)), Probes: int(info.Probes),
		Busy: us(info.Busy_time), RwndLimited: us(info.Rwnd_limited),
		SndbufLimited: us(info.Sndbuf_limited), Retrans: uint64(info.Total_retrans),
		Rmem: int(mem.rmem), RcvBuf: int(mem.rcvbuf), Backlog: int(mem.backlog),
		OwnWindow: int(info.Rcv_wnd), Drops: uint64(mem.drops),
		BytesAcked: info.Bytes_acked, BytesReceived: info.Bytes_received,
	}
}

func localName(fd int) netip.AddrPort {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}
	}
	return addrPort(name)
}

func remoteName(fd int) netip.AddrPort {
	name, err := unix.Getpeername(fd)
	if err != nil {
		return netip.AddrPort{}
	}
	return addrPort(name)
}

func addrPort(name unix.Sockaddr) netip.AddrPort {
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}
