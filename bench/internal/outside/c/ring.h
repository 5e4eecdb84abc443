/* An io_uring of one thread, by bare system calls, with one ring of provided buffers. */
#ifndef RING_H
#define RING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stdint.h>

/* Headers may be older than the kernel. */
#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1U << 16)
#endif

struct ring {
	unsigned fd; /* registered: its index */
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	unsigned *sq_head, *sq_tail, *cq_head, *cq_tail;
	unsigned sq_mask, cq_mask;
	unsigned tail, submitted; /* of the submission queue */

	struct io_uring_buf_ring *lent; /* to the kernel */
	char *buffers;
	unsigned count, size; /* of buffers, and bytes of each */
	uint16_t lent_tail;
};

/* Makes the ring, with a table for as many sockets as there may be descriptors. */
void ring_open(struct ring *r);

/* Lends the kernel count buffers, a power of two, of size bytes. */
void ring_lend(struct ring *r, unsigned count, unsigned size);

/* Returns an entry that is all zero. */
struct io_uring_sqe *ring_entry(struct ring *r);

/* Submits what there is, takes what has completed, and may wait for a completion. */
void ring_enter(struct ring *r, bool wait);

/* Echoes datagrams for good. */
void serve_datagrams(struct ring *r) __attribute__((noreturn));

/* The address of a buffer. */
static inline char *ring_buffer(const struct ring *r, unsigned id)
{
	return r->buffers + (uint64_t)id * r->size;
}

/* Gives a buffer back. The kernel sees it by the next ring_enter. */
static inline void ring_give(struct ring *r, unsigned id)
{
	struct io_uring_buf *b = &r->lent->bufs[r->lent_tail++ & (r->count - 1)];

	b->addr = (uintptr_t)ring_buffer(r, id);
	b->len = r->size;
	b->bid = (uint16_t)id;
}

#endif
