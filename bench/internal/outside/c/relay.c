/* A proxy of the server on epoll: splice(2) from a socket into a pipe, and from there
 * into the other socket. Each of the two sockets of a connection is a conn, with the
 * pipe that leads from it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "epoll.h"

enum { PIPE_SIZE = 1 << 20 };

static struct sockaddr_in target = {.sin_family = AF_INET};

void relay_target(const char *address)
{
	char host[INET_ADDRSTRLEN] = "";
	const char *colon = strchr(address, ':');

	if (colon == NULL || colon - address >= (ptrdiff_t)sizeof host)
		die("target");
	memcpy(host, address, (size_t)(colon - address));
	target.sin_port = htons((uint16_t)atoi(colon + 1));
	if (inet_pton(AF_INET, host, &target.sin_addr) != 1)
		die("target");
}

/* What epoll is to tell of c: input while the pipe that leads from it is empty, and
 * room while the one that leads to it is not. */
static void settle(struct conn *c)
{
	want(c, (c->piped == 0 && !c->ended ? EPOLLIN : 0) |
		(c->other->piped > 0 ? EPOLLOUT : 0));
}

/* Moves what is in the pipe to the other socket, and passes the end on. */
static int drain(struct conn *c)
{
	while (c->piped > 0) {
		ssize_t n = splice(c->pipe[0], NULL, c->other->fd, NULL, c->piped,
				   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n < 0) {
			if (later() < 0)
				return -1;
			break;
		}
		c->piped -= (size_t)n;
	}
	if (c->ended && c->piped == 0 && !c->told) {
		c->told = true;
		shutdown(c->other->fd, SHUT_WR);
		if (c->other->told)
			return -1; /* both have ended */
	}
	settle(c);
	settle(c->other);
	return 0;
}

static int fill(struct conn *c)
{
	ssize_t n;

	if (c->piped > 0 || c->ended)
		return 0;
	n = splice(c->fd, NULL, c->pipe[1], NULL, PIPE_SIZE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n < 0)
		return later();
	c->piped = (size_t)n;
	c->ended = n == 0;
	return drain(c);
}

static int drain_other(struct conn *c) { return drain(c->other); }

static struct conn *closed; /* in this round: the next one is c->next */

/* Closes both. The other one may have an event in this round still, so that its memory
 * has to stay until the round's end. */
static void close_both(struct conn *c)
{
	struct conn *both[] = {c, c->other};

	if (c->readable == NULL)
		return; /* that was done for the other one's event */
	for (int i = 0; i < 2; i++) {
		close(both[i]->fd);
		close(both[i]->pipe[0]);
		close(both[i]->pipe[1]);
		both[i]->readable = both[i]->writable = NULL;
		both[i]->next = closed;
		closed = both[i];
	}
	page->conns--;
}

void free_closed(void)
{
	while (closed != NULL) {
		struct conn *c = closed;

		closed = c->next;
		free(c);
	}
}

static void equip(struct conn *c)
{
	if (pipe2(c->pipe, O_NONBLOCK | O_CLOEXEC) < 0)
		die("pipe2");
	fcntl(c->pipe[1], F_SETPIPE_SZ, PIPE_SIZE); /* a smaller one works as well */
	c->readable = fill;
	c->writable = drain_other;
	c->closed = close_both;
}

/* The target is on this machine: connecting to it takes no time. */
void relay_to(struct conn *c)
{
	struct conn *out = calloc(1, sizeof *out);

	if (out == NULL)
		die("calloc");
	out->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (out->fd < 0 || connect(out->fd, (struct sockaddr *)&target, sizeof target) < 0 ||
	    fcntl(out->fd, F_SETFL, O_NONBLOCK) < 0)
		die("connect to the target");
	no_delay(out->fd);
	equip(c);
	equip(out);
	c->other = out;
	out->other = c;
	watch(out, EPOLLIN);
}
