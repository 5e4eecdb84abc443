// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Rare events. Each program leaves at once where it is not the process's.
#pragma once

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(set_state, struct sock *sk, int old, int new)
{
	struct mark *m = mark_of(sk);

	if (!m) {
		if (!ours())
			return 0;
		m = bpf_sk_storage_get(&marks, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
		if (!m)
			return 0;
		m->sock = (u64)sk;
	}
	if (sk->sk_protocol == IPPROTO_TCP)
		socket_event(EVENT_STATE, sk, new, old);
	return 0;
}

SEC("tp_btf/sock_rcvqueue_full")
int BPF_PROG(rcvq_full, struct sock *sk, struct sk_buff *skb)
{
	struct mark *m = mark_of(sk);

	if (!m)
		return 0;
	m->queue_full++;
	socket_event(EVENT_QUEUE_FULL, sk, sk->sk_backlog.rmem_alloc.counter, sk->sk_rcvbuf);
	return 0;
}

SEC("tp_btf/sock_exceed_buf_limit")
int BPF_PROG(mem_limit, struct sock *sk, void *prot, long allocated, int kind)
{
	if (mark_of(sk))
		socket_event(EVENT_MEMORY_LIMIT, sk, allocated, 0);
	return 0;
}

SEC("tp_btf/udp_fail_queue_rcv_skb")
int BPF_PROG(udp_drop, int rc, struct sock *sk)
{
	if (mark_of(sk))
		socket_event(EVENT_UDP_DROP, sk, sk->sk_backlog.rmem_alloc.counter, sk->sk_rcvbuf);
	return 0;
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(retrans, struct sock *sk, struct sk_buff *skb)
{
	if (mark_of(sk))
		socket_event(EVENT_RETRANSMIT, sk, 0, 0);
	return 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(reset_in, struct sock *sk)
{
	if (mark_of(sk))
		socket_event(EVENT_RESET_IN, sk, 0, 0);
	return 0;
}

// The socket of a reset that is sent is NULL where there is none, and may be one
// that waits for its time to pass, which is no full socket: its address is only
// looked up.
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(reset_out, struct sock *sk, struct sk_buff *skb)
{
	u64 key = (u64)sk;
	u64 *cookie;
	struct event *e;

	if (!sk)
		return 0;
	cookie = bpf_map_lookup_elem(&cookies, &key);
	if (!cookie)
		return 0;
	e = counted(EVENT_RESET_OUT, 1);
	if (!e)
		return 0;
	e->cookie = *cookie;
	fill_ends(&e->ends, sk);
	submit(e);
	return 0;
}

// The same holds for the socket that a dropped segment was for.
SEC("tp_btf/kfree_skb")
int BPF_PROG(skb_drop, struct sk_buff *skb, void *location, int reason, struct sock *sk)
{
	u64 key = (u64)sk;
	u64 *cookie;
	struct event *e;

	if (!sk)
		return 0;
	cookie = bpf_map_lookup_elem(&cookies, &key);
	if (!cookie)
		return 0;
	e = counted(EVENT_DROP, 1);
	if (!e)
		return 0;
	e->cookie = *cookie;
	e->value = reason;
	fill_ends(&e->ends, sk);
	submit(e);
	return 0;
}

SEC("tp_btf/io_uring_queue_async_work")
int BPF_PROG(punt, struct io_kiocb *req, int rw)
{
	u64 uring = (u64)req->ctx;
	struct ring_slot *ring = ring_of(uring);

	if (!ring)
		return 0;
	__sync_fetch_and_add(&ring->counts.punts, 1);
	ring_event(EVENT_PUNT, uring, req->opcode, 0, 0);
	return 0;
}

SEC("tp_btf/io_uring_short_write")
int BPF_PROG(short_write, void *uring, u64 pos, u64 wanted, u64 got)
{
	struct ring_slot *ring = ring_of((u64)uring);

	if (!ring)
		return 0;
	__sync_fetch_and_add(&ring->counts.short_writes, 1);
	ring_event(EVENT_SHORT_WRITE, (u64)uring, 0, got, wanted);
	return 0;
}

SEC("tp_btf/io_uring_cqe_overflow")
int BPF_PROG(cqe_overflow, void *uring, u64 user_data, s32 res, u32 cflags, void *ocqe)
{
	struct ring_slot *ring = ring_of((u64)uring);

	if (!ring)
		return 0;
	__sync_fetch_and_add(&ring->counts.overflows, 1);
	ring_event(EVENT_CQ_OVERFLOW, (u64)uring, 0, res, 0);
	return 0;
}

#define POLLOUT 4

static __always_inline struct arming *arming_of(u64 file)
{
	struct arming none = {};
	struct arming *a = bpf_map_lookup_elem(&armings, &file);

	if (a)
		return a;
	bpf_map_update_elem(&armings, &file, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&armings, &file);
}

SEC("tp_btf/io_uring_poll_arm")
int BPF_PROG(poll_arm, struct io_kiocb *req, int mask, int events)
{
	struct ring_slot *ring = ring_of((u64)req->ctx);
	struct arming *a;

	if (!ring)
		return 0;
	__sync_fetch_and_add(&ring->counts.arms, 1);
	a = arming_of((u64)req->file);
	if (events & POLLOUT) {
		if (a)
			__sync_fetch_and_add(&a->armed_write, 1);
		ring_event(EVENT_ARM_WRITE, (u64)req->ctx, req->opcode, 0, 0);
	} else {
		if (a)
			__sync_fetch_and_add(&a->armed_read, 1);
		counted(EVENT_ARM_READ, 0);
	}
	return 0;
}

// no_buffers is what a completion means whose result is -ENOBUFS: there is no
// tracepoint for a buffer ring that is empty. req may be 0.
static __always_inline void no_buffers(u64 ctx, struct io_kiocb *req)
{
	struct ring_slot *ring = ring_of(ctx);
	struct arming *a;
	u8 op = 0;

	if (!ring)
		return;
	__sync_fetch_and_add(&ring->counts.no_buffers, 1);
	if (req) {
		op = BPF_CORE_READ(req, opcode);
		a = arming_of((u64)BPF_CORE_READ(req, file));
		if (a)
			__sync_fetch_and_add(&a->no_buffers, 1);
	}
	ring_event(EVENT_NO_BUFFERS, ctx, op, 0, 0);
}

// The tracepoint has had three forms: until 5.18 or so, until 6.16, and since.
SEC("tp_btf/io_uring_complete")
int BPF_PROG(starved_v1, void *uring, u64 user_data, int res, unsigned int cflags)
{
	if (res == -ENOBUFS)
		no_buffers((u64)uring, 0);
	return 0;
}

SEC("tp_btf/io_uring_complete")
int BPF_PROG(starved_v2, void *uring, void *req, u64 user_data, int res)
{
	if (res == -ENOBUFS)
		no_buffers((u64)uring, req);
	return 0;
}

SEC("tp_btf/io_uring_complete")
int BPF_PROG(starved_v3, struct io_ring_ctx *uring, void *req, struct io_uring_cqe *cqe)
{
	if (cqe->res == -ENOBUFS)
		no_buffers((u64)uring, req);
	return 0;
}
