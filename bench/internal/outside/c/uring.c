/* A server for the benchmark, as one would write it in C for speed: one thread and
 * io_uring, with multishot accepts into a table of the ring and receives into provided
 * buffers. Of the modes of package contest it has echo and echo-unix, receive, send, and,
 * in another file, datagrams.
 *
 * What comes is sent back out of the buffer in which it came. Such a send does not wait
 * (MSG_DONTWAIT) and posts a completion only if it fails or falls short: so when
 * io_uring_enter returns, all sends of the round are over, and their buffers can be
 * given back, but for those of which completions say otherwise. What these have left is
 * sent by one that waits. A connection has one send under way at a time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "ring.h"

enum op { ACCEPT, RECV, SEND, REST, CLOSE };

enum {
	SMALL = 4 << 10, /* the size of buffers; so many of them stay in the cache */
	SMALL_COUNT = 256,
	LARGE = 64 << 10,
	LARGE_COUNT = 32,
	HUGE = 256 << 10,
	HUGE_COUNT = 8,
	SOCKETS_MAX = 32768,
	BUFFERS_MAX = 256,
	NONE = -1,
};

/* A connection, by its index in the table. */
struct conn {
	struct sink sink;  /* of receive */
	long long owed;	   /* of send: bytes */
	int64_t pos;	   /* of send: in the stream */
	int16_t head, tail; /* of echo: buffers to be sent, in order */
	bool busy;	   /* a send is under way */
	bool broken;	   /* nothing can be sent: what comes is dropped until its end */
	bool ended;	   /* no receive is armed for good: it is closed when not busy */
	bool paused;	   /* no receive is armed until all is sent */
};

/* What of a buffer is to be sent. */
static struct part {
	uint32_t from, left;
	uint32_t conn;
	int16_t next;
	bool failed; /* its send did not take all */
} parts[BUFFERS_MAX];

static struct ring ring;
static struct conn conns[SOCKETS_MAX];
static int listener;
static uint32_t starved[SOCKETS_MAX]; /* connections that found no buffer */
static unsigned starved_count;
static int16_t given[BUFFERS_MAX]; /* buffers whose sends end with this round */
static unsigned given_count;

static struct io_uring_sqe *entry(enum op op, uint8_t opcode, uint32_t c, unsigned buffer)
{
	struct io_uring_sqe *e = ring_entry(&ring);

	e->opcode = opcode;
	e->fd = (int)c;
	e->flags = IOSQE_FIXED_FILE;
	e->user_data = (uint64_t)op << 56 | (uint64_t)buffer << 32 | c;
	return e;
}

static void accept_more(void)
{
	struct io_uring_sqe *e = entry(ACCEPT, IORING_OP_ACCEPT, 0, 0);

	e->fd = listener;
	e->flags = 0;
	e->ioprio = IORING_ACCEPT_MULTISHOT;
	e->file_index = IORING_FILE_INDEX_ALLOC;
}

static uint16_t multishot = IORING_RECV_MULTISHOT;

static void receive_on(uint32_t c)
{
	struct io_uring_sqe *e = entry(RECV, IORING_OP_RECV, c, 0);

	e->flags |= IOSQE_BUFFER_SELECT;
	e->ioprio = multishot;
}

/* Sends the first buffer of a connection. */
static void send_first(uint32_t c)
{
	unsigned id = (unsigned)conns[c].head;
	struct part *p = &parts[id];
	struct io_uring_sqe *e = entry(p->failed ? REST : SEND, IORING_OP_SEND, c, id);

	conns[c].busy = true;
	e->addr = (uintptr_t)(ring_buffer(&ring, id) + p->from);
	e->len = p->left;
	e->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
	if (!p->failed) {
		e->msg_flags |= MSG_DONTWAIT;
		e->flags |= IOSQE_CQE_SKIP_SUCCESS;
		given[given_count++] = (int16_t)id;
	}
}

static void drop_queue(struct conn *k)
{
	for (; k->head != NONE; k->head = parts[k->head].next)
		ring_give(&ring, (unsigned)k->head);
}

static void close_when_idle(uint32_t c)
{
	struct io_uring_sqe *e;

	if (conns[c].busy || !conns[c].ended)
		return;
	e = entry(CLOSE, IORING_OP_CLOSE, 0, 0);
	e->flags = IOSQE_CQE_SKIP_SUCCESS;
	e->file_index = c + 1;
	page->conns--;
}

/* The first buffer of a connection is sent, or cannot be. */
static void sent_first(uint32_t c)
{
	struct conn *k = &conns[c];
	int16_t id = k->head;

	k->busy = false;
	k->head = parts[id].next;
	ring_give(&ring, (unsigned)id);
	if (k->broken)
		drop_queue(k);
	if (k->head != NONE) {
		send_first(c);
	} else if (k->paused) {
		k->paused = false;
		receive_on(c);
	}
	close_when_idle(c);
}

/* Notes that a send fell short. */
static void fell_short(const struct io_uring_cqe *cqe)
{
	struct part *p = &parts[cqe->user_data >> 32 & 0xffff];

	p->failed = true;
	if (cqe->res > 0) {
		p->from += (uint32_t)cqe->res;
		p->left -= (uint32_t)cqe->res;
	} else if (cqe->res != -EAGAIN && cqe->res != -EINTR) {
		conns[p->conn].broken = true;
	}
}

/* Looks at the sends of the round that is over. */
static void end_sends(unsigned head, unsigned tail)
{
	unsigned n = given_count;

	if (n == 0)
		return;
	given_count = 0; /* sent_first may give more, in places that were looked at */
	for (; head != tail; head++)
		if (ring.cqes[head & ring.cq_mask].user_data >> 56 == SEND)
			fell_short(&ring.cqes[head & ring.cq_mask]);
	for (unsigned i = 0; i < n; i++) {
		struct part *p = &parts[given[i]];
		uint32_t c = p->conn;

		(p->failed && !conns[c].broken ? send_first : sent_first)(c);
	}
}

static void end_rest(const struct io_uring_cqe *cqe)
{
	uint32_t c = (uint32_t)cqe->user_data;
	struct part *p = &parts[conns[c].head];

	if (cqe->res <= 0) {
		conns[c].broken = true;
		sent_first(c);
		return;
	}
	p->from += (uint32_t)cqe->res;
	p->left -= (uint32_t)cqe->res;
	(p->left > 0 ? send_first : sent_first)(c);
}

static void echo(uint32_t c, unsigned id, uint32_t n)
{
	struct conn *k = &conns[c];

	if (k->broken) {
		ring_give(&ring, id);
		return;
	}
	parts[id] = (struct part){.left = n, .conn = c, .next = NONE};
	if (k->head == NONE)
		k->head = (int16_t)id;
	else
		parts[k->tail].next = (int16_t)id;
	k->tail = (int16_t)id;
	if (!k->busy)
		send_first(c);
}

/* A socket of the table has no descriptor to ask for its remote port. */
static uint16_t no_port(void *of) { return (void)of, 0; }

static void receive(uint32_t c, unsigned id, uint32_t n)
{
	take(&conns[c].sink, ring_buffer(&ring, id), n, no_port, NULL);
	ring_give(&ring, id);
}

static void push(uint32_t c)
{
	struct conn *k = &conns[c];
	struct io_uring_sqe *e;

	if (k->busy || k->broken || k->owed == 0)
		return;
	k->busy = true;
	e = entry(REST, IORING_OP_SEND, c, 0);
	e->addr = (uintptr_t)at(k->pos);
	e->len = k->owed < FILE_MAX ? (uint32_t)k->owed : FILE_MAX;
	e->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
}

static void pull(uint32_t c, unsigned id, uint32_t n)
{
	ring_give(&ring, id);
	conns[c].owed += n * size;
	push(c);
}

static void pushed(const struct io_uring_cqe *cqe)
{
	uint32_t c = (uint32_t)cqe->user_data;
	struct conn *k = &conns[c];

	k->busy = false;
	if (cqe->res <= 0) {
		k->broken = true;
	} else {
		k->pos += cqe->res;
		k->owed -= cqe->res;
	}
	push(c);
	close_when_idle(c);
}

static const struct mode {
	const char *name;
	int family;
	void (*received)(uint32_t c, unsigned id, uint32_t n);
	void (*sent)(const struct io_uring_cqe *cqe); /* by a send that waited */
	uint16_t multishot;
} modes[] = {
	{"echo", AF_INET, echo, end_rest, IORING_RECV_MULTISHOT},
	{"echo-unix", AF_UNIX, echo, end_rest, IORING_RECV_MULTISHOT},
	/* One buffer a round for each connection: by multishot the first one would take
	 * all buffers, and the others fail to receive. */
	{"receive", AF_INET, receive, NULL, 0},
	{"send", AF_INET, pull, pushed, IORING_RECV_MULTISHOT},
	{NULL, 0, NULL, NULL, 0},
}, *mode;

static void on_accept(const struct io_uring_cqe *cqe)
{
	if (!(cqe->flags & IORING_CQE_F_MORE))
		accept_more();
	if (cqe->res < 0)
		return;
	if (cqe->res >= SOCKETS_MAX)
		die("too many connections");
	conns[cqe->res] = (struct conn){.head = NONE};
	receive_on((uint32_t)cqe->res);
	page->conns++;
}

static void on_receive(const struct io_uring_cqe *cqe)
{
	uint32_t c = (uint32_t)cqe->user_data;

	if (cqe->res == -ENOBUFS) {
		if (conns[c].head != NONE)
			conns[c].paused = true;
		else
			starved[starved_count++] = c;
		return;
	}
	if (cqe->res <= 0) {
		if (cqe->flags & IORING_CQE_F_BUFFER)
			ring_give(&ring, cqe->flags >> IORING_CQE_BUFFER_SHIFT);
		conns[c].ended = true;
		close_when_idle(c);
		return;
	}
	mode->received(c, cqe->flags >> IORING_CQE_BUFFER_SHIFT, (uint32_t)cqe->res);
	if (!(cqe->flags & IORING_CQE_F_MORE))
		receive_on(c);
}

/* Whether something is to be done when the sends of this round are over, of which no
 * completion would tell. */
static bool sends_hold_up(void)
{
	for (unsigned i = 0; i < given_count; i++) {
		const struct part *p = &parts[given[i]];

		if (p->next != NONE || conns[p->conn].paused || conns[p->conn].ended)
			return true;
	}
	return false;
}

/* Has connections receive that found no buffer, in the order in which they did, but no
 * more than there can be buffers: the others would find none again. */
static void feed_starved(void)
{
	unsigned n = starved_count < ring.count ? starved_count : ring.count;

	for (unsigned i = 0; i < n; i++)
		receive_on(starved[i]);
	starved_count -= n;
	memmove(starved, starved + n, starved_count * sizeof *starved);
}

static void serve(void)
{
	accept_more();
	for (;;) {
		unsigned head, tail;

		ring_enter(&ring, starved_count == 0 && !sends_hold_up());
		head = *ring.cq_head;
		tail = __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE);
		end_sends(head, tail);
		for (; head != tail; head++) {
			const struct io_uring_cqe *cqe = &ring.cqes[head & ring.cq_mask];

			switch (cqe->user_data >> 56) {
			case ACCEPT:
				on_accept(cqe);
				break;
			case RECV:
				on_receive(cqe);
				break;
			case REST:
				mode->sent(cqe);
				break;
			}
		}
		__atomic_store_n(ring.cq_head, head, __ATOMIC_RELEASE);
		feed_starved();
	}
}

static void lend_buffers(const char *name)
{
	if (strcmp(name, "receive") == 0)
		ring_lend(&ring, HUGE_COUNT, HUGE);
	else if (strncmp(name, "echo", 4) == 0 && size >= SMALL)
		ring_lend(&ring, LARGE_COUNT, LARGE);
	else
		ring_lend(&ring, SMALL_COUNT, SMALL);
}

int main(int argc, char **argv)
{
	set_up(argc, argv);
	ring_open(&ring);
	lend_buffers(argv[1]);
	if (strcmp(argv[1], "datagrams") == 0)
		serve_datagrams(&ring);
	for (mode = modes; mode->name != NULL && strcmp(mode->name, argv[1]) != 0;)
		mode++;
	if (mode->name == NULL) {
		fprintf(stderr, "there is no mode %s\n", argv[1]);
		return 2;
	}
	multishot = mode->multishot;
	listener = bound_socket(mode->family, SOCK_STREAM);
	if (mode->family == AF_INET)
		no_delay(listener);
	announce(listener, true);
	serve();
}
