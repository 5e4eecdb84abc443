// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What user space and the programs share. bpf2go makes Go types of these.
#pragma once

enum record_kind {
	RECORD_BEGIN = 1,
	RECORD_TCP,
	RECORD_LISTENER,
	RECORD_UDP,
	RECORD_UNIX,
	RECORD_PIPE,
	RECORD_RING,
};

// Flags of struct tcp_record and struct pipe_record.
enum record_flag {
	FLAG_MPTCP = 1,
	FLAG_NOSPACE = 2,
	FLAG_OUT_OF_ORDER = 4,
	FLAG_WRITER = 8,
	FLAG_OVERFLOWING = 16,
};

// head begins each record. size includes it and is a multiple of 8.
struct head {
	u16 kind;
	u16 size;
	s32 fd;
	u64 cookie;
};

struct begin_record {
	struct head head;
	u64 now;
	u64 jiffies;
};

struct endpoints {
	u8 local[16];
	u8 remote[16];
	u16 local_port;
	u16 remote_port;
	u16 family;
	u8 state;
	u8 flags;
};

// mark is what a socket of the process has: it tells that it is one, and counts.
struct mark {
	u64 sock; // the socket itself: a clone of a listener's mark has another's
	u64 zero_windows;
	u64 zero_since;
	u64 zero_time;
	u64 own_zero_windows;
	u64 queue_full;
	u64 send_blocked;
	u64 arrived;
};

// arming is what is known of a file only through requests of rings.
struct arming {
	u64 cookie;
	u64 armed_write;
	u64 armed_read;
	u64 no_buffers;
};

struct tcp_record {
	struct head head;
	struct endpoints ends;
	u32 queued;
	u32 sndbuf;
	u32 outq;
	u32 notsent;
	u32 peer_window;
	u32 cwnd;
	u32 inflight;
	u32 mss;
	u32 srtt; // µs, times 8
	u32 probes;
	u32 inq;
	u32 rmem;
	u32 rcvbuf;
	u32 backlog;
	u32 own_window;
	u32 retrans;
	u32 drops;
	u32 chrono[3]; // jiffies: busy, rwnd-limited, sndbuf-limited, each by itself
	u64 acked;
	u64 received;
	struct mark mark;
	struct arming arming;
};

// socket_record is a listener, UDP or Unix socket.
struct socket_record {
	struct head head;
	struct endpoints ends;
	u32 rmem;
	u32 rcvbuf;
	u32 wmem;
	u32 sndbuf;
	u32 queue;
	u32 queue_max;
	u32 drops;
	u16 type;
	u16 path_len;
	char path[104];
};

struct pipe_record {
	struct head head;
	u64 inode;
	u32 used;
	u32 size;
	u32 flags;
	u32 unused;
};

struct buffer_ring {
	u16 group;
	u16 available;
	u16 size;
	u16 unused;
};

// ring_counts counts the events of a ring.
struct ring_counts {
	u64 punts;
	u64 overflows;
	u64 no_buffers;
	u64 short_writes;
	u64 arms;
};

#define BUFFER_RINGS 16

struct ring_record {
	struct head head;
	u64 id;
	u32 flags;
	u32 sq_pending;
	u32 sq_entries;
	u32 cq_ready;
	u32 cq_entries;
	u32 overflow;
	u32 state;
	u32 buffers_len;
	struct ring_counts counts;
	struct buffer_ring buffers[BUFFER_RINGS];
};

// event_kind has the order of EventKind in event.go.
enum event_kind {
	EVENT_STATE,
	EVENT_QUEUE_FULL,
	EVENT_MEMORY_LIMIT,
	EVENT_UDP_DROP,
	EVENT_RETRANSMIT,
	EVENT_RESET_IN,
	EVENT_RESET_OUT,
	EVENT_DROP,
	EVENT_PUNT,
	EVENT_SHORT_WRITE,
	EVENT_CQ_OVERFLOW,
	EVENT_NO_BUFFERS,
	EVENT_ARM_WRITE,
	EVENT_ARM_READ,
	EVENT_PEER_CLOSED,
	EVENT_PEER_OPENED,
	EVENT_SEND_BLOCKED,
	EVENT_OWN_CLOSED,
	EVENT_KINDS,
};

struct event {
	u64 now;
	u64 cookie;
	u64 ring;
	s64 value;
	s64 limit;
	struct endpoints ends;
	u8 kind;
	u8 op;
	u16 unused[3];
};

#define SLOTS 64
#define OPS 64

// histogram_kind numbers the histograms of one CPU: OPS of latency, then these.
enum histogram_kind {
	HISTOGRAM_LATENCY = 0,
	HISTOGRAM_BATCH = OPS,
	HISTOGRAM_WAIT,
	HISTOGRAM_SOJOURN,
	HISTOGRAMS,
};

struct histogram {
	u64 slots[SLOTS];
};
