package pressure

import (
	"errors"
	"net/netip"
	"strings"
	"time"
	"unsafe"
)

// errRecord is returned for records that none of our iterators wrote.
var errRecord = errors.New("pressure: malformed record")

const (
	afInet  = 2
	afInet6 = 10
)

// A beginning is the first record of a snapshot.
type beginning struct {
	now     time.Duration
	jiffies uint64
}

// decodeSnapshot decodes the iterator's records. tick is the length of a jiffy. The
// beginning is zero if there was no record at all.
func decodeSnapshot(buf []byte, tick time.Duration, s *Snapshot) (beginning, error) {
	var b beginning
	for len(buf) > 0 {
		head, ok := record[recordHead](buf)
		if !ok || int(head.Size) > len(buf) || int(head.Size) < int(unsafe.Sizeof(head)) {
			return b, errRecord
		}
		one := buf[:head.Size]
		buf = buf[head.Size:]
		if bpfRecordKind(head.Kind) == bpfRecordKindRECORD_BEGIN {
			r, ok := record[bpfBeginRecord](one)
			if !ok {
				return b, errRecord
			}
			b = beginning{time.Duration(r.Now), r.Jiffies}
			continue
		}
		if !decodeRecord(bpfRecordKind(head.Kind), one, tick, s) {
			return b, errRecord
		}
	}
	return b, nil
}

// recordHead is struct head of pressure.h.
type recordHead struct {
	Kind   uint16
	Size   uint16
	FD     int32
	Cookie uint64
}

// record copies a T from the front of buf.
func record[T any](buf []byte) (T, bool) {
	var out T
	size := int(unsafe.Sizeof(out))
	if len(buf) < size {
		return out, false
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&out)), size), buf)
	return out, true
}

func decodeRecord(kind bpfRecordKind, buf []byte, tick time.Duration, s *Snapshot) bool {
	switch kind {
	case bpfRecordKindRECORD_TCP:
		r, ok := record[bpfTcpRecord](buf)
		s.Conns = append(s.Conns, decodeConn(&r, tick))
		return ok
	case bpfRecordKindRECORD_LISTENER, bpfRecordKindRECORD_UDP, bpfRecordKindRECORD_UNIX:
		r, ok := record[bpfSocketRecord](buf)
		decodeSocket(kind, &r, s)
		return ok
	case bpfRecordKindRECORD_PIPE:
		r, ok := record[bpfPipeRecord](buf)
		s.Pipes = append(s.Pipes, Pipe{
			FD: int(r.Head.Fd), Inode: r.Inode,
			Writer: r.Flags&uint32(bpfRecordFlagFLAG_WRITER) != 0,
			Used:   int(r.Used), Size: int(r.Size),
		})
		return ok
	case bpfRecordKindRECORD_RING:
		r, ok := record[bpfRingRecord](buf)
		s.Rings = append(s.Rings, decodeRing(&r))
		return ok
	}
	return false
}

func decodeConn(r *bpfTcpRecord, tick time.Duration) Conn {
	flag := func(f bpfRecordFlag) bool { return r.Ends.Flags&uint8(f) != 0 }
	jiffies := func(n uint32) time.Duration { return time.Duration(n) * tick }
	return Conn{
		FD: int(r.Head.Fd), Cookie: r.Head.Cookie,
		Local:  address(r.Ends.Family, r.Ends.Local, r.Ends.LocalPort),
		Remote: address(r.Ends.Family, r.Ends.Remote, r.Ends.RemotePort),
		State:  tcpState(r.Ends.State), MPTCP: flag(bpfRecordFlagFLAG_MPTCP),
		Queued: int(r.Queued), SndBuf: int(r.Sndbuf),
		OutQueue: int(r.Outq), NotSent: int(r.Notsent),
		NoSpace:    flag(bpfRecordFlagFLAG_NOSPACE),
		PeerWindow: int(r.PeerWindow), Cwnd: int(r.Cwnd), InFlight: int(r.Inflight),
		MSS: int(r.Mss), SRTT: time.Duration(r.Srtt) * time.Microsecond / 8,
		Probes:      int(r.Probes),
		Busy:        jiffies(r.Chrono[0] + r.Chrono[1] + r.Chrono[2]),
		RwndLimited: jiffies(r.Chrono[1]), SndbufLimited: jiffies(r.Chrono[2]),
		Retrans: uint64(r.Retrans),
		InQueue: int(r.Inq), Rmem: int(r.Rmem), RcvBuf: int(r.Rcvbuf), Backlog: int(r.Backlog),
		OwnWindow: int(r.OwnWindow), OutOfOrder: flag(bpfRecordFlagFLAG_OUT_OF_ORDER),
		Drops:      uint64(r.Drops),
		BytesAcked: r.Acked, BytesReceived: r.Received,
		Edges: decodeEdges(&r.Mark, &r.Arming),
	}
}

func decodeEdges(m *bpfMark, a *bpfArming) ConnEdges {
	return ConnEdges{
		ZeroWindows: m.ZeroWindows, ZeroWindowTime: time.Duration(m.ZeroTime),
		PeerClosed: m.ZeroSince != 0, OwnZeroWindows: m.OwnZeroWindows,
		NoBuffers: a.NoBuffers, ArmedWrite: a.ArmedWrite, ArmedRead: a.ArmedRead,
		QueueFull: m.QueueFull, SendBlocked: m.SendBlocked,
	}
}

func decodeSocket(kind bpfRecordKind, r *bpfSocketRecord, s *Snapshot) {
	fd, cookie := int(r.Head.Fd), r.Head.Cookie
	local := address(r.Ends.Family, r.Ends.Local, r.Ends.LocalPort)
	listening := r.Ends.State == tcpListen
	switch kind {
	case bpfRecordKindRECORD_LISTENER:
		s.Listeners = append(s.Listeners, Listener{
			FD: fd, Cookie: cookie, Local: local,
			Queue: int(r.Queue), Backlog: int(r.QueueMax), Drops: uint64(r.Drops),
			MPTCP: r.Ends.Flags&uint8(bpfRecordFlagFLAG_MPTCP) != 0,
		})
	case bpfRecordKindRECORD_UDP:
		d := Datagram{
			FD: fd, Cookie: cookie, Local: local,
			Rmem: int(r.Rmem), RcvBuf: int(r.Rcvbuf), Wmem: int(r.Wmem), SndBuf: int(r.Sndbuf),
			Drops: uint64(r.Drops),
		}
		if r.Ends.RemotePort != 0 {
			d.Remote = address(r.Ends.Family, r.Ends.Remote, r.Ends.RemotePort)
		}
		s.Datagrams = append(s.Datagrams, d)
	case bpfRecordKindRECORD_UNIX:
		u := Unix{
			FD: fd, Cookie: cookie, Type: int(r.Type), Path: unixPath(r),
			Listening: listening, Wmem: int(r.Wmem), SndBuf: int(r.Sndbuf),
		}
		if listening {
			u.Queue, u.Backlog = int(r.Queue), int(r.QueueMax)
		}
		s.Unix = append(s.Unix, u)
	}
}

// unixPath returns a socket's name as text. The kernel's form ends in zeros, or
// begins with a zero if the name is abstract.
func unixPath(r *bpfSocketRecord) string {
	path := make([]byte, 0, len(r.Path))
	for _, c := range r.Path[:min(int(r.PathLen), len(r.Path))] {
		path = append(path, byte(c))
	}
	if len(path) > 0 && path[0] == 0 {
		return "@" + strings.ToValidUTF8(string(path[1:]), "?")
	}
	name, _, _ := strings.Cut(string(path), "\x00")
	return strings.ToValidUTF8(name, "?")
}

func decodeRing(r *bpfRingRecord) Ring {
	ring := Ring{
		FD: int(r.Head.Fd), ID: r.Id, Flags: r.Flags,
		SQPending: int(r.SqPending), SQEntries: int(r.SqEntries),
		CQReady: int(r.CqReady), CQEntries: int(r.CqEntries),
		Overflow: uint64(r.Overflow), Overflowing: r.State != 0,
		Edges: RingEdges{
			Punts: r.Counts.Punts, Overflows: r.Counts.Overflows, NoBuffers: r.Counts.NoBuffers,
			ShortWrites: r.Counts.ShortWrites, Arms: r.Counts.Arms,
		},
	}
	for _, b := range r.Buffers[:min(int(r.BuffersLen), len(r.Buffers))] {
		ring.Buffers = append(ring.Buffers, BufferRing{
			Group: b.Group, Available: int(b.Available), Size: int(b.Size),
		})
	}
	return ring
}

// address converts an address of the kernel's; it returns the zero one if there is
// none.
func address(family uint16, bytes [16]byte, port uint16) netip.AddrPort {
	switch family {
	case afInet:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(bytes[:4])), port)
	case afInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(bytes).Unmap(), port)
	}
	return netip.AddrPort{}
}

// decodeEvent decodes a record of the ring buffer into an Event.
func decodeEvent(buf []byte) (Event, error) {
	r, ok := record[bpfEvent](buf)
	if !ok {
		return Event{}, errRecord
	}
	e := Event{
		Time: time.Duration(r.Now), Kind: EventKind(r.Kind), Cookie: r.Cookie, Ring: r.Ring,
		Op: r.Op, Value: r.Value, Limit: r.Limit,
		Local: address(r.Ends.Family, r.Ends.Local, r.Ends.LocalPort),
	}
	if r.Ends.RemotePort != 0 {
		e.Remote = address(r.Ends.Family, r.Ends.Remote, r.Ends.RemotePort)
	}
	return e, nil
}
