/* Datagrams of the server on io_uring: a multishot receive into provided buffers, and
 * sends out of these. */
#define _GNU_SOURCE
#include <netinet/in.h>

#include "common.h"
#include "ring.h"

enum { RECV, SEND };

enum { BUFFERS_MAX = 256, RECEIVE_BUFFER = 4 << 20 };

static int sock;
static uint16_t given[BUFFERS_MAX]; /* buffers whose sends end with this round */
static unsigned given_count;

static void receive_more(struct ring *r, struct msghdr *head)
{
	struct io_uring_sqe *e = ring_entry(r);

	e->opcode = IORING_OP_RECVMSG;
	e->fd = sock;
	e->flags = IOSQE_BUFFER_SELECT;
	e->ioprio = IORING_RECV_MULTISHOT;
	e->addr = (uintptr_t)head;
	e->user_data = RECV;
}

/* Sends a datagram back. In its buffer are a head, the sender's address and the bytes. */
static void send_back(struct ring *r, unsigned id)
{
	struct io_uring_recvmsg_out *out = (void *)ring_buffer(r, id);
	char *from = (char *)(out + 1);
	struct io_uring_sqe *e = ring_entry(r);

	e->opcode = IORING_OP_SEND;
	e->fd = sock;
	e->flags = IOSQE_CQE_SKIP_SUCCESS;
	e->addr = (uintptr_t)(from + sizeof(struct sockaddr_in));
	e->len = out->payloadlen;
	e->msg_flags = MSG_DONTWAIT;
	e->addr2 = (uintptr_t)from;
	e->addr_len = sizeof(struct sockaddr_in);
	e->user_data = SEND;
	given[given_count++] = (uint16_t)id;
}

static void end_sends(struct ring *r)
{
	for (unsigned i = 0; i < given_count; i++)
		ring_give(r, given[i]);
	given_count = 0;
}

void serve_datagrams(struct ring *r)
{
	struct msghdr head = {.msg_namelen = sizeof(struct sockaddr_in)};
	int room = RECEIVE_BUFFER;

	sock = bound_socket(AF_INET, SOCK_DGRAM);
	/* The kernel makes as much of it as net.core.rmem_max allows. */
	setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	announce(sock, false);
	receive_more(r, &head);
	for (;;) {
		unsigned i, tail;

		ring_enter(r, true);
		end_sends(r);
		tail = __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE);
		for (i = *r->cq_head; i != tail; i++) {
			const struct io_uring_cqe *cqe = &r->cqes[i & r->cq_mask];

			if (cqe->user_data != RECV)
				continue; /* a datagram that could not be sent is lost */
			if (cqe->res >= 0)
				send_back(r, cqe->flags >> IORING_CQE_BUFFER_SHIFT);
			if (!(cqe->flags & IORING_CQE_F_MORE))
				receive_more(r, &head);
		}
		__atomic_store_n(r->cq_head, i, __ATOMIC_RELEASE);
	}
}
