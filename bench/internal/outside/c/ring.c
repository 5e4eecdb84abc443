#define _GNU_SOURCE
#include "ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common.h"

enum { SQ_ENTRIES = 4096, CQ_ENTRIES = 32768, SOCKETS_MAX = 32768 };

static void *map(size_t n, int fd, off_t offset)
{
	int how = fd < 0 ? MAP_ANONYMOUS | MAP_PRIVATE : MAP_SHARED;
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, how | MAP_POPULATE, fd, offset);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static void must_register(int fd, unsigned what, void *arg, unsigned n, const char *name)
{
	if (syscall(SYS_io_uring_register, fd, what, arg, n) < 0)
		die(name);
}

/* A ring whose descriptor is registered is found without a reference to its file. */
static void register_things(struct ring *r, int fd)
{
	struct rlimit files;
	struct io_uring_rsrc_register sockets = {.flags = IORING_RSRC_REGISTER_SPARSE};
	struct io_uring_rsrc_update self = {.offset = -1U, .data = (uint64_t)fd};

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		die("getrlimit");
	sockets.nr = files.rlim_cur < SOCKETS_MAX ? (unsigned)files.rlim_cur : SOCKETS_MAX;
	must_register(fd, IORING_REGISTER_FILES2, &sockets, sizeof sockets, "register files");
	must_register(fd, IORING_REGISTER_RING_FDS, &self, 1, "register the ring");
	r->fd = self.offset;
}

void ring_open(struct ring *r)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_NO_SQARRAY,
		.cq_entries = CQ_ENTRIES};
	int fd = (int)syscall(SYS_io_uring_setup, SQ_ENTRIES, &p);
	char *rings;

	if (fd < 0)
		die("io_uring_setup");
	rings = map(p.cq_off.cqes + p.cq_entries * sizeof *r->cqes, fd, IORING_OFF_SQ_RING);
	r->sqes = map(p.sq_entries * sizeof *r->sqes, fd, IORING_OFF_SQES);
	r->sq_head = (unsigned *)(rings + p.sq_off.head);
	r->sq_tail = (unsigned *)(rings + p.sq_off.tail);
	r->cq_head = (unsigned *)(rings + p.cq_off.head);
	r->cq_tail = (unsigned *)(rings + p.cq_off.tail);
	r->cqes = (struct io_uring_cqe *)(rings + p.cq_off.cqes);
	r->sq_mask = p.sq_entries - 1;
	r->cq_mask = p.cq_entries - 1;
	register_things(r, fd);
	r->lent = NULL;
}

void ring_lend(struct ring *r, unsigned count, unsigned bytes)
{
	struct io_uring_buf_reg reg = {.ring_entries = count};

	r->count = count;
	r->size = bytes;
	r->buffers = map((size_t)count * bytes, -1, 0);
	r->lent = map(count * sizeof(struct io_uring_buf), -1, 0);
	reg.ring_addr = (uintptr_t)r->lent;
	/* By the index of a registered ring, which says so in the highest bit. */
	must_register((int)r->fd, IORING_REGISTER_PBUF_RING | 1U << 31, &reg, 1,
		      "register buffers");
	for (unsigned i = 0; i < count; i++)
		ring_give(r, i);
}

static void enter(struct ring *r, unsigned wait, unsigned flags)
{
	long n;

	if (r->lent != NULL)
		__atomic_store_n(&r->lent->tail, r->lent_tail, __ATOMIC_RELEASE);
	__atomic_store_n(r->sq_tail, r->tail, __ATOMIC_RELEASE);
	n = syscall(SYS_io_uring_enter, r->fd, r->tail - r->submitted, wait,
		    flags | IORING_ENTER_REGISTERED_RING, NULL, 0);
	if (n >= 0)
		r->submitted += (unsigned)n;
	else if (errno != EINTR && errno != EBUSY && errno != EAGAIN)
		die("io_uring_enter");
}

struct io_uring_sqe *ring_entry(struct ring *r)
{
	struct io_uring_sqe *e;

	while (r->tail - __atomic_load_n(r->sq_head, __ATOMIC_ACQUIRE) > r->sq_mask)
		enter(r, 0, 0);
	e = &r->sqes[r->tail++ & r->sq_mask];
	memset(e, 0, sizeof *e);
	return e;
}

void ring_enter(struct ring *r, bool wait) { enter(r, wait, IORING_ENTER_GETEVENTS); }
