// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The snapshot: a record for each socket, pipe and ring of the process.
#pragma once

#define S_IFMT 0170000
#define S_IFIFO 0010000
#define FMODE_WRITE 2
#define ANON_INODE_FS_MAGIC 0x09041934
#define SOCK_NOSPACE 2
#define IORING_SQ_CQ_OVERFLOW 2
#define GROUPS 64

static __always_inline u32 drops_of(struct sock *sk)
{
	u32 drops = sk->sk_drops.counter;

	if (bpf_core_field_exists(sk->sk_drop_counters)) {
		struct numa_drop_counters *n = BPF_CORE_READ(sk, sk_drop_counters);

		if (n)
			drops += BPF_CORE_READ(n, drops0.counter) + BPF_CORE_READ(n, drops1.counter);
	}
	return drops;
}

// marked marks a socket as the process's own and returns its mark.
static __always_inline struct mark *marked(struct sock *sk, u64 cookie)
{
	struct mark *m;
	u64 key = (u64)sk;

	if (!marking)
		return 0;
	m = bpf_sk_storage_get(&marks, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (m && m->sock != (u64)sk) {
		__builtin_memset(m, 0, sizeof(*m));
		m->sock = (u64)sk;
	}
	bpf_map_update_elem(&cookies, &key, &cookie, BPF_ANY);
	return m;
}

static __always_inline void fill_arming(struct arming *out, struct file *file, u64 cookie)
{
	u64 key = (u64)file;
	struct arming *a;

	if (!marking)
		return;
	a = bpf_map_lookup_elem(&armings, &key);
	if (!a)
		return;
	if (a->cookie != cookie) {
		// The file is another one's than when this was counted, or is new.
		if (a->cookie)
			a->armed_write = a->armed_read = a->no_buffers = 0;
		a->cookie = cookie;
	}
	*out = *a;
}

static __always_inline void fill_chrono(struct tcp_record *r, struct tcp_sock *tp)
{
	u32 type = BPF_CORE_READ_BITFIELD_PROBED(tp, chrono_type);
	u32 running = (u32)bpf_jiffies64() - tp->chrono_start;

	r->chrono[0] = tp->chrono_stat[0] + (type == 1 ? running : 0);
	r->chrono[1] = tp->chrono_stat[1] + (type == 2 ? running : 0);
	r->chrono[2] = tp->chrono_stat[2] + (type == 3 ? running : 0);
}

static __always_inline void fill_tcp(struct tcp_record *r, struct tcp_sock *tp)
{
	s32 own = tp->rcv_wup + tp->rcv_wnd - tp->rcv_nxt;

	r->outq = tp->write_seq - tp->snd_una;
	r->notsent = tp->write_seq - tp->snd_nxt;
	r->peer_window = tp->snd_wnd;
	r->cwnd = tp->snd_cwnd;
	r->inflight = tp->packets_out - tp->sacked_out - tp->lost_out + tp->retrans_out;
	r->mss = tp->mss_cache;
	r->srtt = tp->srtt_us;
	r->probes = tp->inet_conn.icsk_probes_out;
	r->inq = tp->rcv_nxt - tp->copied_seq;
	r->own_window = own > 0 ? own : 0;
	r->retrans = tp->total_retrans;
	r->acked = tp->bytes_acked;
	r->received = tp->bytes_received;
	if (tp->out_of_order_queue.rb_node)
		r->ends.flags |= FLAG_OUT_OF_ORDER;
	fill_chrono(r, tp);
}

// fill_subflow looks at the first subflow of an MPTCP connection. The verifier does
// not know its type, so each field is read by itself. What has arrived is moved to
// the connection at once, of which there is only the memory to tell.
static __always_inline void fill_subflow(struct tcp_record *r, struct sock *sk)
{
	struct tcp_sock *tp = (void *)BPF_CORE_READ((struct mptcp_sock *)sk, first);
	u32 unacked;

	r->inq = r->rmem;
	if (!tp)
		return;
	unacked = BPF_CORE_READ(tp, snd_una);
	r->outq = BPF_CORE_READ(tp, write_seq) - unacked;
	r->notsent = BPF_CORE_READ(tp, write_seq) - BPF_CORE_READ(tp, snd_nxt);
	r->peer_window = BPF_CORE_READ(tp, snd_wnd);
	r->cwnd = BPF_CORE_READ(tp, snd_cwnd);
	r->inflight = BPF_CORE_READ(tp, packets_out);
	r->mss = BPF_CORE_READ(tp, mss_cache);
	r->srtt = BPF_CORE_READ(tp, srtt_us);
	r->probes = BPF_CORE_READ(tp, inet_conn.icsk_probes_out);
	r->own_window = BPF_CORE_READ(tp, rcv_wnd);
	r->retrans = BPF_CORE_READ(tp, total_retrans);
	r->acked = BPF_CORE_READ(tp, bytes_acked);
	r->received = BPF_CORE_READ(tp, bytes_received);
}

static __always_inline int put_tcp(struct seq_file *seq, struct head *h, struct socket *socket,
				   struct sock *sk, struct file *file)
{
	struct tcp_record r = {};
	struct tcp_sock *tp;
	struct mark *m;

	r.head = *h;
	r.head.kind = RECORD_TCP;
	r.head.size = sizeof(r);
	fill_ends(&r.ends, sk);
	r.queued = sk->sk_wmem_queued;
	r.sndbuf = sk->sk_sndbuf;
	r.rmem = sk->sk_backlog.rmem_alloc.counter;
	r.rcvbuf = sk->sk_rcvbuf;
	r.backlog = sk->sk_backlog.len;
	if (queued_only && !r.queued && !r.rmem)
		return 0;
	r.drops = drops_of(sk);
	if (socket->flags & (1 << SOCK_NOSPACE))
		r.ends.flags |= FLAG_NOSPACE;
	if (sk->sk_protocol == IPPROTO_MPTCP)
		r.ends.flags |= FLAG_MPTCP;
	tp = bpf_skc_to_tcp_sock(sk);
	if (tp) {
		fill_tcp(&r, tp);
		// The SYN itself counts as a byte.
		if (r.ends.state == TCP_SYN_SENT)
			r.outq = r.notsent = 0;
	} else if (sk->sk_protocol == IPPROTO_MPTCP) {
		fill_subflow(&r, sk);
	}
	m = marked(sk, h->cookie);
	if (m)
		r.mark = *m;
	fill_arming(&r.arming, file, h->cookie);
	return bpf_seq_write(seq, &r, sizeof(r));
}

static __always_inline void fill_unix(struct socket_record *r, struct sock *sk)
{
	struct unix_address *addr = BPF_CORE_READ((struct unix_sock *)sk, addr);
	int len;

	r->wmem = r->wmem ? r->wmem - 1 : 0; // the socket itself holds one
	r->queue = sk->sk_receive_queue.qlen;
	if (!addr)
		return;
	len = BPF_CORE_READ(addr, len) - 2;
	if (len <= 0)
		return;
	if (len > (int)sizeof(r->path))
		len = sizeof(r->path);
	r->path_len = len;
	bpf_probe_read_kernel(r->path, sizeof(r->path), (void *)&addr->name[0] + 2);
}

static __always_inline int put_socket(struct seq_file *seq, struct head *h, u16 kind,
				      struct sock *sk)
{
	struct socket_record r = {};

	r.head = *h;
	r.head.kind = kind;
	r.head.size = sizeof(r);
	r.ends.state = sk->__sk_common.skc_state;
	r.type = sk->sk_type;
	r.rmem = sk->sk_backlog.rmem_alloc.counter;
	r.rcvbuf = sk->sk_rcvbuf;
	r.wmem = sk->sk_wmem_alloc.refs.counter;
	r.sndbuf = sk->sk_sndbuf;
	r.queue = sk->sk_ack_backlog;
	r.queue_max = sk->sk_max_ack_backlog;
	r.drops = drops_of(sk);
	if (kind == RECORD_UNIX) {
		fill_unix(&r, sk);
	} else {
		fill_ends(&r.ends, sk);
		r.wmem = r.wmem ? r.wmem - 1 : 0;
		marked(sk, h->cookie);
	}
	if (kind == RECORD_LISTENER && sk->sk_protocol == IPPROTO_MPTCP) {
		struct sock *first = BPF_CORE_READ((struct mptcp_sock *)sk, first);

		r.ends.flags = FLAG_MPTCP;
		r.queue = BPF_CORE_READ(first, sk_ack_backlog);
		r.queue_max = BPF_CORE_READ(first, sk_max_ack_backlog);
		r.drops = BPF_CORE_READ(first, sk_drops.counter);
	}
	if (queued_only && kind != RECORD_LISTENER && !r.rmem && !r.wmem)
		return 0;
	return bpf_seq_write(seq, &r, sizeof(r));
}

static __always_inline int put_pipe(struct seq_file *seq, struct head *h, struct file *file)
{
	struct pipe_inode_info *pipe = file->f_inode->i_pipe;
	struct pipe_record r = {};

	if (!pipe)
		return 0;
	r.head = *h;
	r.head.kind = RECORD_PIPE;
	r.head.size = sizeof(r);
	r.inode = file->f_inode->i_ino;
	r.used = pipe->head - pipe->tail;
	r.size = pipe->max_usage;
	if (file->f_mode & FMODE_WRITE)
		r.flags = FLAG_WRITER;
	if (queued_only && !r.used)
		return 0;
	return bpf_seq_write(seq, &r, sizeof(r));
}

// add_buffers adds a group to the record. It is a function of its own, that is
// verified once and not for each turn of the loop below.
__noinline int add_buffers(struct ring_record *r, u64 address)
{
	struct io_buffer_list *list = (void *)address;
	u16 entries, mask, tail, head;
	u32 i;

	if (!r || !list)
		return 0;
	i = r->buffers_len;
	if (i >= BUFFER_RINGS)
		return 0;
	entries = BPF_CORE_READ(list, nr_entries);
	mask = BPF_CORE_READ(list, mask);
	if (!entries || mask != entries - 1)
		return 0; // no group, or one of buffers that are not in a ring
	tail = BPF_CORE_READ(list, buf_ring, tail);
	head = BPF_CORE_READ(list, head);
	r->buffers[i].group = BPF_CORE_READ(list, bgid);
	r->buffers[i].available = tail - head;
	r->buffers[i].size = entries;
	r->buffers_len = i + 1;
	return 1;
}

// fill_buffers walks the groups below GROUPS: an array in older kernels, the first
// node of an xarray, or its head alone where group 0 is the only one.
static __always_inline void fill_buffers(struct ring_record *r, struct io_ring_ctx *ctx)
{
	void *head = BPF_CORE_READ(ctx, io_bl_xa.xa_head);
	struct io_buffer_list *array = 0;
	struct xa_node *node = 0;

	if (bpf_core_field_exists(ctx->io_bl))
		array = BPF_CORE_READ(ctx, io_bl);
	if (((u64)head & 3) == 2 && (u64)head > 4096) {
		node = (void *)((u64)head - 2);
		for (int i = 0; i < 3 && BPF_CORE_READ(node, shift) > 0; i++)
			node = (void *)((u64)BPF_CORE_READ(node, slots[0]) & ~3ULL);
	} else if (!array) {
		add_buffers(r, (u64)head);
	}
	for (u32 i = 0; i < GROUPS; i++) {
		void *list = 0;

		if (array)
			list = (void *)array + i * bpf_core_type_size(struct io_buffer_list);
		else if (node)
			bpf_probe_read_kernel(&list, sizeof(list), &node->slots[i]);
		if (list)
			add_buffers(r, (u64)list);
	}
}

// remember_ring finds or takes a slot for a ring and copies its counts.
static __always_inline void remember_ring(struct ring_record *r, u64 ctx)
{
	for (int i = 0; i < RINGS; i++) {
		if (rings[i].ctx == ctx) {
			rings[i].seen = generation;
			r->counts = rings[i].counts;
			return;
		}
	}
	for (int i = 0; i < RINGS; i++) {
		if (!rings[i].ctx) {
			__builtin_memset(&rings[i].counts, 0, sizeof(rings[i].counts));
			rings[i].seen = generation;
			rings[i].ctx = ctx;
			return;
		}
	}
}

static __always_inline int put_ring(struct seq_file *seq, struct head *h, struct file *file)
{
	struct io_ring_ctx *ctx = (void *)file->private_data;
	struct ring_record r = {};
	struct io_rings *shared;
	char name[12] = {};

	bpf_probe_read_kernel_str(name, sizeof(name), file->f_path.dentry->d_name.name);
	if (bpf_strncmp(name, 10, "[io_uring]") || !ctx)
		return 0;
	r.head = *h;
	r.head.kind = RECORD_RING;
	r.head.size = sizeof(r);
	r.id = (u64)ctx;
	r.flags = BPF_CORE_READ(ctx, flags);
	r.sq_entries = BPF_CORE_READ(ctx, sq_entries);
	r.cq_entries = BPF_CORE_READ(ctx, cq_entries);
	shared = BPF_CORE_READ(ctx, rings);
	r.sq_pending = BPF_CORE_READ(shared, sq.tail) - BPF_CORE_READ(shared, sq.head);
	r.cq_ready = BPF_CORE_READ(shared, cq.tail) - BPF_CORE_READ(shared, cq.head);
	r.overflow = BPF_CORE_READ(shared, cq_overflow);
	if (BPF_CORE_READ(shared, sq_flags.counter) & IORING_SQ_CQ_OVERFLOW)
		r.state |= FLAG_OVERFLOWING;
	fill_buffers(&r, ctx);
	remember_ring(&r, (u64)ctx);
	return bpf_seq_write(seq, &r, sizeof(r));
}

static __always_inline int put_sock(struct seq_file *seq, struct head *h, struct socket *socket,
				    struct file *file)
{
	struct sock *sk = socket->sk;
	u16 family;

	if (!sk)
		return 0;
	h->cookie = bpf_get_socket_cookie(sk);
	family = sk->__sk_common.skc_family;
	if (family == AF_UNIX)
		return put_socket(seq, h, RECORD_UNIX, sk);
	if (family != AF_INET && family != AF_INET6)
		return 0;
	if (sk->sk_protocol == IPPROTO_UDP)
		return put_socket(seq, h, RECORD_UDP, sk);
	if (sk->sk_protocol != IPPROTO_TCP && sk->sk_protocol != IPPROTO_MPTCP)
		return 0;
	if (sk->__sk_common.skc_state == TCP_LISTEN)
		return put_socket(seq, h, RECORD_LISTENER, sk);
	return put_tcp(seq, h, socket, sk, file);
}

static __always_inline void begin(struct seq_file *seq, struct task_struct *task)
{
	struct begin_record b = {};

	b.head.kind = RECORD_BEGIN;
	b.head.size = sizeof(b);
	b.now = bpf_ktime_get_ns();
	b.jiffies = bpf_jiffies64();
	bpf_seq_write(seq, &b, sizeof(b));
	target = task->tgid;
	for (int i = 0; i < RINGS; i++) {
		if (rings[i].ctx && rings[i].seen != generation)
			rings[i].ctx = 0;
	}
	generation++;
}

SEC("iter/task_file")
int snap(struct bpf_iter__task_file *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct head h = {};
	struct socket *socket;

	if (!task || !file)
		return 0;
	if (filter && task->tgid != filter)
		return 0;
	if (ctx->meta->seq_num == 0)
		begin(seq, task);
	h.fd = ctx->fd;
	socket = bpf_sock_from_file(file);
	if (socket)
		put_sock(seq, &h, socket, file);
	else if ((file->f_inode->i_mode & S_IFMT) == S_IFIFO)
		put_pipe(seq, &h, file);
	else if (file->f_inode->i_sb->s_magic == ANON_INODE_FS_MAGIC)
		put_ring(seq, &h, file);
	return 0;
}
