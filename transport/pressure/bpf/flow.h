// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What happens for each segment and each call, and our own window.
#pragma once

#define MSG_PEEK 2
#define TCP_WINDOW_OFFSET 14

// peer_window runs for each segment of an established connection, before it is
// taken in. A window of 0 is 0 whatever the scale.
SEC("tp_btf/tcp_probe")
int BPF_PROG(peer_window, struct sock *sk, struct sk_buff *skb)
{
	struct mark *m = mark_of(sk);
	u64 now, closed;
	u16 window = 1;

	if (!m)
		return 0;
	bpf_probe_read_kernel(&window, sizeof(window),
			      skb->head + skb->transport_header + TCP_WINDOW_OFFSET);
	if (window == 0 && !m->zero_since) {
		m->zero_since = bpf_ktime_get_ns();
		m->zero_windows++;
		socket_event(EVENT_PEER_CLOSED, sk, 0, 0);
	} else if (window != 0 && m->zero_since) {
		now = bpf_ktime_get_ns();
		closed = now - m->zero_since;
		m->zero_time += closed;
		m->zero_since = 0;
		socket_event(EVENT_PEER_OPENED, sk, closed, 0);
	}
	return 0;
}

SEC("tp_btf/sk_data_ready")
int BPF_PROG(data_ready, struct sock *sk)
{
	struct mark *m = mark_of(sk);

	if (m && !m->arrived && sk->__sk_common.skc_state == TCP_ESTABLISHED)
		m->arrived = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(recv_len, struct sock *sk, int ret, int flags)
{
	struct mark *m;
	u64 now;

	if (ret <= 0 || flags & MSG_PEEK)
		return 0;
	m = mark_of(sk);
	if (!m || !m->arrived)
		return 0;
	now = bpf_ktime_get_ns();
	measured(HISTOGRAM_SOJOURN, now - m->arrived);
	m->arrived = sk->sk_backlog.rmem_alloc.counter > 0 ? now : 0;
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(send_len, struct sock *sk, int ret, int flags)
{
	struct mark *m;

	if (ret != -EAGAIN)
		return 0;
	m = mark_of(sk);
	if (!m)
		return 0;
	m->send_blocked++;
	socket_event(EVENT_SEND_BLOCKED, sk, 0, 0);
	return 0;
}

SEC("fexit/__tcp_select_window")
int BPF_PROG(own_window, struct sock *sk, u32 window)
{
	struct mark *m;

	if (window)
		return 0;
	m = mark_of(sk);
	if (!m)
		return 0;
	m->own_zero_windows++;
	socket_event(EVENT_OWN_CLOSED, sk, 0, 0);
	return 0;
}
