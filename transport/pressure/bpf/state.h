// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Maps, settings, and how events are counted, limited and sent.
#pragma once

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_MPTCP 262
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_LISTEN 10
#define ENOBUFS 105
#define EAGAIN 11
#define SECOND 1000000000ULL

// Settings, written before the programs are loaded.
const volatile bool marking = 0;      // events are wanted: mark sockets
const volatile bool queued_only = 0;  // leave out what has nothing queued
const volatile u64 sample_below = 0;  // time a request if a random u32 is below
const volatile u32 events_a_second = 1000;
const volatile u32 wake_bytes = 128 << 10;

// The process, in the initial PID namespace. If filter is set the programs compare
// it by themselves, where the iterator cannot be told to.
u32 target = 0;
u32 filter = 0;

#define RINGS 16

// rings are those of the process. seen is the generation of the last snapshot that
// found it; the next but one frees what is no more.
struct ring_slot {
	u64 ctx;
	u64 seen;
	struct ring_counts counts;
};
struct ring_slot rings[RINGS];
u64 generation = 1;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct mark);
} marks SEC(".maps");

// armings are by the address of the file, addresses by that of the socket.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, struct arming);
} armings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, u64);
} cookies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

// tally is what one CPU has counted of a kind, and its limit of rate.
struct tally {
	u64 count;
	u64 lost;
	u64 second;
	u64 sent;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_KINDS);
	__type(key, u32);
	__type(value, struct tally);
} tallies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HISTOGRAMS);
	__type(key, u32);
	__type(value, struct histogram);
} histograms SEC(".maps");

struct inflight {
	u64 user_data;
	u64 begun;
	u64 op;
};

#define INFLIGHT 8192

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, INFLIGHT);
	__type(key, u32);
	__type(value, struct inflight);
} inflights SEC(".maps");

static __always_inline bool ours(void)
{
	return (bpf_get_current_pid_tgid() >> 32) == target;
}

// ring_of finds the slot of a ring of the process.
static __always_inline struct ring_slot *ring_of(u64 ctx)
{
#pragma unroll
	for (int i = 0; i < RINGS; i++) {
		if (rings[i].ctx == ctx)
			return &rings[i];
	}
	return 0;
}

static __always_inline struct mark *mark_of(struct sock *sk)
{
	struct mark *m = bpf_sk_storage_get(&marks, sk, 0, 0);

	if (m && m->sock != (u64)sk) {
		__builtin_memset(m, 0, sizeof(*m));
		m->sock = (u64)sk;
	}
	return m;
}

static __always_inline void fill_ends(struct endpoints *e, struct sock *sk)
{
	e->family = sk->__sk_common.skc_family;
	e->state = sk->__sk_common.skc_state;
	e->local_port = sk->__sk_common.skc_num;
	e->remote_port = __builtin_bswap16(sk->__sk_common.skc_dport);
	if (e->family == AF_INET6) {
		bpf_probe_read_kernel(e->local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_probe_read_kernel(e->remote, 16, &sk->__sk_common.skc_v6_daddr);
	} else {
		*(u32 *)e->local = sk->__sk_common.skc_rcv_saddr;
		*(u32 *)e->remote = sk->__sk_common.skc_daddr;
	}
}

// counted counts an event and returns room for it, or NULL where it is not sent.
static __always_inline struct event *counted(u32 kind, bool send)
{
	struct tally *t = bpf_map_lookup_elem(&tallies, &kind);
	struct event *e;
	u64 now, second;

	if (!t)
		return 0;
	t->count++;
	if (!send)
		return 0;
	now = bpf_ktime_get_ns();
	second = now / SECOND;
	if (t->second != second) {
		t->second = second;
		t->sent = 0;
	}
	if (t->sent >= events_a_second) {
		t->lost++;
		return 0;
	}
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		t->lost++;
		return 0;
	}
	t->sent++;
	__builtin_memset(e, 0, sizeof(*e));
	e->now = now;
	e->kind = kind;
	return e;
}

static __always_inline void submit(struct event *e)
{
	u64 waiting = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);

	bpf_ringbuf_submit(e, waiting > wake_bytes ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

static __always_inline void socket_event(u32 kind, struct sock *sk, s64 value, s64 limit)
{
	struct event *e = counted(kind, 1);

	if (!e)
		return;
	e->cookie = bpf_get_socket_cookie(sk);
	e->value = value;
	e->limit = limit;
	fill_ends(&e->ends, sk);
	submit(e);
}

static __always_inline void ring_event(u32 kind, u64 ctx, u8 op, s64 value, s64 limit)
{
	struct event *e = counted(kind, 1);

	if (!e)
		return;
	e->ring = ctx;
	e->op = op;
	e->value = value;
	e->limit = limit;
	submit(e);
}

// log2 returns the greatest i with 2^i ≤ v, 0 for v = 0.
static __always_inline u32 log2(u64 v)
{
	u32 r, shift;

	r = (v > 0xffffffff) << 5;
	v >>= r;
	shift = (v > 0xffff) << 4;
	v >>= shift;
	r |= shift;
	shift = (v > 0xff) << 3;
	v >>= shift;
	r |= shift;
	shift = (v > 0xf) << 2;
	v >>= shift;
	r |= shift;
	shift = (v > 0x3) << 1;
	v >>= shift;
	r |= shift;
	return r | (v >> 1);
}

static __always_inline void measured(u32 which, u64 value)
{
	struct histogram *h = bpf_map_lookup_elem(&histograms, &which);
	u64 slot = log2(value);

	// The mask must be the last thing done to the index, which the compiler would
	// otherwise add to the address piece by piece: the verifier of 6.1 wants a bound.
	asm volatile("" : "+r"(slot));
	slot &= SLOTS - 1;
	if (h)
		h->slots[slot]++;
}
