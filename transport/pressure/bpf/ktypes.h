// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The kernel's types, as far as pressure.bpf.c looks at them: no field more. Where
// they lie is found when the object is loaded (CO-RE), so the order is of no
// meaning and a field that a kernel lacks must be asked for before it is read.
#pragma once

typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
typedef _Bool bool;

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_F_NO_PREALLOC = 1,
	BPF_F_CLONE = 1 << 9,
	BPF_SK_STORAGE_GET_F_CREATE = 1,
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
	BPF_RB_AVAIL_DATA = 0,
};

#define KERNEL __attribute__((preserve_access_index))

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	long counter;
} atomic64_t;

typedef struct {
	atomic_t refs;
} refcount_t;

struct in6_addr {
	union {
		u8 u6_addr8[16];
	} in6_u;
} KERNEL;

struct super_block {
	unsigned long s_magic;
} KERNEL;

struct pipe_inode_info {
	unsigned int head;
	unsigned int tail;
	unsigned int max_usage;
} KERNEL;

struct inode {
	unsigned short i_mode;
	unsigned long i_ino;
	struct super_block *i_sb;
	struct pipe_inode_info *i_pipe;
} KERNEL;

struct qstr {
	const unsigned char *name;
} KERNEL;

struct dentry {
	struct qstr d_name;
} KERNEL;

struct path {
	struct dentry *dentry;
} KERNEL;

struct file {
	unsigned int f_mode;
	struct inode *f_inode;
	struct path f_path;
	void *private_data;
} KERNEL;

struct task_struct {
	int tgid;
} KERNEL;

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id;
	u64 seq_num;
} KERNEL;

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
} KERNEL;

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
} KERNEL;

struct sk_buff_head {
	u32 qlen;
} KERNEL;

struct socket {
	short type;
	unsigned long flags;
	struct sock *sk;
} KERNEL;

struct numa_drop_counters {
	atomic_t drops0;
	atomic_t drops1;
} KERNEL;

struct sock {
	struct sock_common __sk_common;
	atomic_t sk_drops;
	struct numa_drop_counters *sk_drop_counters;
	struct sk_buff_head sk_receive_queue;
	struct {
		atomic_t rmem_alloc;
		int len;
	} sk_backlog;
	int sk_rcvbuf;
	int sk_sndbuf;
	int sk_wmem_queued;
	refcount_t sk_wmem_alloc;
	struct socket *sk_socket;
	u16 sk_protocol;
	u16 sk_type;
	u32 sk_ack_backlog;
	u32 sk_max_ack_backlog;
} KERNEL;

struct inet_connection_sock {
	u8 icsk_probes_out;
} KERNEL;

struct rb_node;

struct rb_root {
	struct rb_node *rb_node;
} KERNEL;

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	u32 snd_una;
	u32 snd_nxt;
	u32 write_seq;
	u32 snd_wnd;
	u32 snd_cwnd;
	u32 packets_out;
	u32 sacked_out;
	u32 lost_out;
	u32 retrans_out;
	u32 mss_cache;
	u32 srtt_us;
	u32 total_retrans;
	u32 rcv_nxt;
	u32 copied_seq;
	u32 rcv_wnd;
	u32 rcv_wup;
	u32 chrono_start;
	u32 chrono_stat[3];
	u8 chrono_type : 2;
	u64 bytes_acked;
	u64 bytes_received;
	struct rb_root out_of_order_queue;
} KERNEL;

struct mptcp_sock {
	struct sock *first;
} KERNEL;

struct sockaddr_un {
	unsigned short sun_family;
	char sun_path[108];
};

struct unix_address {
	int len;
	struct sockaddr_un name[0];
} KERNEL;

struct unix_sock {
	struct unix_address *addr;
} KERNEL;

struct sk_buff {
	unsigned char *head;
	u16 transport_header;
} KERNEL;

struct io_uring {
	u32 head;
	u32 tail;
} KERNEL;

struct io_rings {
	struct io_uring sq;
	struct io_uring cq;
	u32 cq_overflow;
	atomic_t sq_flags;
} KERNEL;

struct io_uring_buf_ring {
	u16 tail;
} KERNEL;

struct io_buffer_list {
	struct io_uring_buf_ring *buf_ring;
	u16 bgid;
	u16 nr_entries;
	u16 head;
	u16 mask;
} KERNEL;

struct xarray {
	void *xa_head;
} KERNEL;

struct xa_node {
	unsigned char shift;
	void *slots[64];
} KERNEL;

struct io_ring_ctx {
	unsigned int flags;
	struct io_rings *rings;
	unsigned int sq_entries;
	unsigned int cq_entries;
	struct io_buffer_list *io_bl; // an array, before Linux 6.9 or so
	struct xarray io_bl_xa;
} KERNEL;

struct io_cqe {
	u64 user_data;
} KERNEL;

struct io_uring_cqe {
	u64 user_data;
	s32 res;
} KERNEL;

struct io_kiocb {
	struct file *file;
	u8 opcode;
	struct io_cqe cqe;
	struct io_ring_ctx *ctx;
} KERNEL;
