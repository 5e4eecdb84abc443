package pressure

import (
	"net/netip"
	"time"
)

// A Snapshot is the state of all descriptors of a process at about one moment:
// what the kernel has, joined with what its loops publish. It is plain data.
type Snapshot struct {
	// Time is when it was started, by CLOCK_MONOTONIC, the clock that Events use as
	// well.
	Time time.Duration `json:"time"`
	// Took is how long it took. The state of the last descriptor is that much newer
	// than that of the first.
	Took time.Duration `json:"took"`
	// PID is the ID of the process.
	PID int `json:"pid"`
	// Level is where the snapshot came from: LevelProcess or LevelSnapshot.
	Level Level `json:"level"`

	// Conns are the TCP sockets that do not listen, in the order of descriptors.
	Conns []Conn `json:"conns,omitempty"`
	// Listeners are the TCP sockets that listen.
	Listeners []Listener `json:"listeners,omitempty"`
	// Datagrams are the UDP sockets.
	Datagrams []Datagram `json:"datagrams,omitempty"`
	// Unix are the Unix sockets.
	Unix []Unix `json:"unix,omitempty"`
	// Pipes are the pipes and FIFOs, once per descriptor.
	Pipes []Pipe `json:"pipes,omitempty"`
	// Rings are the io_uring instances.
	Rings []Ring `json:"rings,omitempty"`
	// Loops are the loops that publish a flow page.
	Loops []Loop `json:"loops,omitempty"`

	// Counts are the numbers of events of the process since Attach, by kind. They
	// are exact even if Events is rate-limited or lost some. Empty below
	// LevelEdges.
	Counts Counts `json:"counts,omitempty"`
}

// Conn is a TCP connection. Sizes are in bytes unless stated otherwise.
type Conn struct {
	// FD is its descriptor; Cookie its SO_COOKIE, which ss -e prints as sk:.
	FD     int    `json:"fd"`
	Cookie uint64 `json:"cookie"`
	// Local and Remote are its addresses. An IPv4 peer on an IPv6 socket is shown
	// as IPv4.
	Local  netip.AddrPort `json:"local,omitzero"`
	Remote netip.AddrPort `json:"remote,omitzero"`
	// State is the TCP state by the name that ss uses, in full: "established",
	// "syn-sent", "syn-recv", "fin-wait-1", "fin-wait-2", "time-wait", "close",
	// "close-wait", "last-ack", "listen", "closing" or "new-syn-recv".
	State string `json:"state"`
	// MPTCP says that this is an MPTCP connection. The TCP values are then those of
	// its first subflow, without the durations; InQueue is Rmem.
	MPTCP bool `json:"mptcp,omitempty"`

	// Queued is the memory of the send queue (sk_wmem_queued), SndBuf its limit
	// (sk_sndbuf). A socket takes no more once Queued reaches SndBuf.
	Queued int `json:"queued"`
	SndBuf int `json:"sndbuf"`
	// OutQueue is the number of bytes written and not acknowledged, NotSent the
	// number of those that have not been sent yet.
	OutQueue int `json:"outq"`
	NotSent  int `json:"notsent"`
	// NoSpace says that a writer found the send queue full and is waiting
	// (SOCK_NOSPACE). It is not known at LevelProcess.
	NoSpace bool `json:"nospace,omitempty"`
	// PeerWindow is the window that the peer offers.
	PeerWindow int `json:"peer_window"`
	// Cwnd and InFlight are in segments of MSS bytes.
	Cwnd     int `json:"cwnd"`
	InFlight int `json:"inflight"`
	MSS      int `json:"mss"`
	// SRTT is the smoothed round trip time.
	SRTT time.Duration `json:"srtt"`
	// Probes is the number of window probes that the peer has not answered.
	Probes int `json:"probes,omitempty"`
	// Busy, RwndLimited and SndbufLimited accumulate from the beginning of the
	// connection: Busy while data was outstanding, RwndLimited while only the
	// peer's window held it back, SndbufLimited while only the send buffer did.
	// Busy includes the other two. Their resolution is a jiffy.
	Busy          time.Duration `json:"busy"`
	RwndLimited   time.Duration `json:"rwnd_limited"`
	SndbufLimited time.Duration `json:"sndbuf_limited"`
	// Retrans counts retransmitted segments.
	Retrans uint64 `json:"retrans,omitempty"`

	// InQueue is the number of bytes received in order and not read.
	InQueue int `json:"inq"`
	// Rmem is the memory of the receive queue (sk_rmem_alloc), RcvBuf its limit.
	Rmem   int `json:"rmem"`
	RcvBuf int `json:"rcvbuf"`
	// Backlog is the memory of what arrived while the socket was locked.
	Backlog int `json:"backlog,omitempty"`
	// OwnWindow is the part of the window we offer that is not used up. At
	// LevelProcess it is tcpi_rcv_wnd, Linux 6.2.
	OwnWindow int `json:"own_window"`
	// OutOfOrder says that data is waiting for a missing segment. It is not known
	// at LevelProcess.
	OutOfOrder bool `json:"ooo,omitempty"`
	// Drops counts the segments dropped at the socket.
	Drops uint64 `json:"drops,omitempty"`

	// BytesAcked and BytesReceived are totals.
	BytesAcked    uint64 `json:"bytes_acked"`
	BytesReceived uint64 `json:"bytes_received"`

	// Edges counts the events of this connection since Attach. Zero below
	// LevelEdges.
	Edges ConnEdges `json:"edges"`

	// Transport is what its loop publishes, nil without a flow page.
	Transport *Transport `json:"transport,omitempty"`
}

// ConnEdges counts the events of one connection since Attach, or since its
// socket was first seen.
type ConnEdges struct {
	// ZeroWindows is how often the peer closed its window, and ZeroWindowTime how
	// long it was closed in total, including now (LevelFlow). PeerClosed says
	// whether it is closed now.
	ZeroWindows    uint64        `json:"zero_windows,omitempty"`
	ZeroWindowTime time.Duration `json:"zero_window_time,omitempty"`
	PeerClosed     bool          `json:"peer_closed,omitempty"`
	// OwnZeroWindows is how often we offered a window of 0 (LevelFuncs).
	OwnZeroWindows uint64 `json:"own_zero_windows,omitempty"`
	// NoBuffers counts a ring's receives that ended with ENOBUFS.
	NoBuffers uint64 `json:"no_buffers,omitempty"`
	// ArmedWrite and ArmedRead count a ring's requests that found the socket not
	// ready and waited for it.
	ArmedWrite uint64 `json:"armed_write,omitempty"`
	ArmedRead  uint64 `json:"armed_read,omitempty"`
	// QueueFull counts segments refused because the receive buffer was full.
	QueueFull uint64 `json:"queue_full,omitempty"`
	// SendBlocked counts sends answered with EAGAIN (LevelFlow, seen on Linux 6.12
	// and 6.18, absent from 6.1).
	SendBlocked uint64 `json:"send_blocked,omitempty"`
}

// Listener is a listening TCP socket.
type Listener struct {
	// FD is its descriptor; Cookie its SO_COOKIE; Local its address.
	FD     int            `json:"fd"`
	Cookie uint64         `json:"cookie"`
	Local  netip.AddrPort `json:"local,omitzero"`
	// Queue is the number of connections waiting to be accepted, Backlog the limit.
	// The kernel drops handshakes once Queue exceeds Backlog.
	Queue   int `json:"queue"`
	Backlog int `json:"backlog"`
	// Drops counts everything dropped at the socket, handshakes included. At
	// LevelProcess it is taken from SO_MEMINFO.
	Drops uint64 `json:"drops,omitempty"`
	// MPTCP says that it was created with IPPROTO_MPTCP, as by net.Listen.
	MPTCP bool `json:"mptcp,omitempty"`
}

// Datagram is a UDP socket.
type Datagram struct {
	// FD is its descriptor; Cookie its SO_COOKIE.
	FD     int    `json:"fd"`
	Cookie uint64 `json:"cookie"`
	// Local and Remote are its addresses; Remote is zero unless connected.
	Local  netip.AddrPort `json:"local,omitzero"`
	Remote netip.AddrPort `json:"remote,omitzero"`
	// Rmem is the memory of data waiting to be read, RcvBuf its limit; Wmem is that
	// of data waiting to be sent, SndBuf its limit.
	Rmem   int `json:"rmem"`
	RcvBuf int `json:"rcvbuf"`
	Wmem   int `json:"wmem"`
	SndBuf int `json:"sndbuf"`
	// Drops counts the datagrams dropped since the socket was created.
	Drops uint64 `json:"drops"`
	// Transport is what its loop publishes, nil without a flow page.
	Transport *Transport `json:"transport,omitempty"`
}

// Unix is a Unix socket.
type Unix struct {
	// FD is its descriptor; Cookie its SO_COOKIE.
	FD     int    `json:"fd"`
	Cookie uint64 `json:"cookie"`
	// Type is SOCK_STREAM (1), SOCK_DGRAM (2) or SOCK_SEQPACKET (5).
	Type int `json:"type"`
	// Path is the name that the socket is bound to, with "@" in front of an
	// abstract one; empty if it has none.
	Path string `json:"path,omitempty"`
	// Listening says that the socket is listening: Queue is then the number of
	// connections waiting to be accepted, Backlog the limit.
	Listening bool `json:"listening,omitempty"`
	Queue     int  `json:"queue,omitempty"`
	Backlog   int  `json:"backlog,omitempty"`
	// Wmem is the memory of what was sent and has not been read by the peer, SndBuf
	// its limit. Data waiting to be read here is charged to the peer's Wmem.
	Wmem   int `json:"wmem"`
	SndBuf int `json:"sndbuf"`
	// Transport is what its loop publishes, nil without a flow page.
	Transport *Transport `json:"transport,omitempty"`
}

// Pipe is one end of a pipe or FIFO.
type Pipe struct {
	// FD is its descriptor; Inode is that of the pipe, the same at both ends.
	FD    int    `json:"fd"`
	Inode uint64 `json:"inode"`
	// Writer says that this is the writing end.
	Writer bool `json:"writer"`
	// Used and Size are in page-sized buffers, which may be partly filled. A write
	// waits once Used reaches Size. At LevelProcess they are in bytes, rounded up
	// to pages.
	Used int `json:"used"`
	Size int `json:"size"`
	// Transport is what its loop publishes, nil without a flow page.
	Transport *Transport `json:"transport,omitempty"`
}

// Ring is an io_uring instance.
type Ring struct {
	// FD is its descriptor; ID identifies the ring in Events, and is 0 at
	// LevelProcess.
	FD int    `json:"fd"`
	ID uint64 `json:"id,omitempty"`
	// Flags are the flags of io_uring_setup.
	Flags uint32 `json:"flags"`
	// SQPending is the number of submissions that the kernel has not taken, of
	// SQEntries.
	SQPending int `json:"sq_pending"`
	SQEntries int `json:"sq_entries"`
	// CQReady is the number of completions that the process has not taken, of
	// CQEntries.
	CQReady   int `json:"cq_ready"`
	CQEntries int `json:"cq_entries"`
	// Overflow is the ring's own count of completions that were dropped because
	// memory was short. Overflowing says that completions are waiting outside the
	// CQ now.
	Overflow    uint64 `json:"overflow,omitempty"`
	Overflowing bool   `json:"overflowing,omitempty"`
	// Buffers are its buffer rings, of groups below 64; unknown at LevelProcess.
	Buffers []BufferRing `json:"buffers,omitempty"`
	// Edges counts its events since Attach. Zero below LevelEdges.
	Edges RingEdges `json:"edges"`
}

// BufferRing is a ring of provided receive buffers.
type BufferRing struct {
	// Group is its group number.
	Group uint16 `json:"group"`
	// Available is the number of buffers, of Size in all, that the kernel may take.
	Available int `json:"available"`
	Size      int `json:"size"`
}

// RingEdges counts the events of one ring since Attach.
type RingEdges struct {
	// Punts counts requests handed to a worker thread (io-wq).
	Punts uint64 `json:"punts,omitempty"`
	// Overflows counts completions that found the CQ full.
	Overflows uint64 `json:"overflows,omitempty"`
	// NoBuffers counts completions with ENOBUFS, which means that a buffer ring was
	// empty.
	NoBuffers uint64 `json:"no_buffers,omitempty"`
	// ShortWrites counts writes that took less than they were given.
	ShortWrites uint64 `json:"short_writes,omitempty"`
	// Arms counts requests that waited for readiness.
	Arms uint64 `json:"arms,omitempty"`
}
