// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// How long requests of rings take. A request that is timed has a place in a table
// by its user_data; another one may take the place, and then neither is counted
// wrongly, as both its user_data and its time are compared.
#pragma once

static __always_inline u32 place(u64 user_data)
{
	return (user_data * 0x9e3779b97f4a7c15ULL) >> 51; // 13 bits: INFLIGHT
}

static __always_inline void begun(struct io_kiocb *req)
{
	struct inflight *f;
	u64 user_data;
	u32 key;

	if (bpf_get_prandom_u32() >= sample_below || !ring_of((u64)req->ctx))
		return;
	user_data = req->cqe.user_data;
	key = place(user_data);
	f = bpf_map_lookup_elem(&inflights, &key);
	if (!f)
		return;
	f->user_data = user_data;
	f->op = req->opcode;
	f->begun = bpf_ktime_get_ns();
}

static __always_inline void completed(u64 ctx, u64 user_data)
{
	u32 key = place(user_data);
	struct inflight *f = bpf_map_lookup_elem(&inflights, &key);
	u64 since, op;

	if (!f || !f->begun || f->user_data != user_data || !ring_of(ctx))
		return;
	since = f->begun;
	op = f->op;
	f->begun = 0;
	if (op < OPS)
		measured(HISTOGRAM_LATENCY + op, bpf_ktime_get_ns() - since);
}

SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(submit_sqe, struct io_kiocb *req, bool nonblock)
{
	begun(req);
	return 0;
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(submit_req, struct io_kiocb *req)
{
	begun(req);
	return 0;
}

SEC("tp_btf/io_uring_complete")
int BPF_PROG(complete_v1, void *uring, u64 user_data, int res, unsigned int cflags)
{
	completed((u64)uring, user_data);
	return 0;
}

SEC("tp_btf/io_uring_complete")
int BPF_PROG(complete_v2, void *uring, void *req, u64 user_data, int res)
{
	completed((u64)uring, user_data);
	return 0;
}

SEC("tp_btf/io_uring_complete")
int BPF_PROG(complete_v3, struct io_ring_ctx *uring, void *req, struct io_uring_cqe *cqe)
{
	completed((u64)uring, cqe->user_data);
	return 0;
}

SEC("tp_btf/io_uring_local_work_run")
int BPF_PROG(local_work, void *uring, int count, unsigned int loops)
{
	if (ring_of((u64)uring))
		measured(HISTOGRAM_BATCH, count);
	return 0;
}

SEC("tp_btf/io_uring_task_work_run")
int BPF_PROG(task_work, void *tctx, unsigned int count)
{
	if (ours())
		measured(HISTOGRAM_BATCH, count);
	return 0;
}

SEC("tp_btf/io_uring_cqring_wait")
int BPF_PROG(cq_wait, void *uring, int min_events)
{
	if (ring_of((u64)uring))
		measured(HISTOGRAM_WAIT, min_events);
	return 0;
}
