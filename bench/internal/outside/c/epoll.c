/* A server for the benchmark, as one would write it in C for speed: one thread and
 * epoll. Its modes are those of package contest:
 *
 *   echo, echo-unix  sends back what comes;
 *   receive          counts and compares it, as contest.Sink does;
 *   send             SIZE bytes of the pattern for each byte that comes;
 *   sendfile         the same by sendfile(2);
 *   fan-out          the same to all connections;
 *   http             a short answer to each request;
 *   relay            passes all on to TARGET and back, by splice(2);
 *   datagrams        sends each datagram back.
 *
 * What mostly reads is level-triggered: a second recv(2), to learn that nothing is left,
 * costs more than to be told again. What mostly writes is edge-triggered: to ask for
 * and to give up EPOLLOUT would cost two calls whenever a socket is full.
 */
#define _GNU_SOURCE
#include "epoll.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 512,
	BUFFER_SIZE = 256 << 10,
	PIECE_MAX = FILE_MAX, /* of send: as much as the pattern has in one piece */
	LEVEL = EPOLLIN,
	EDGE = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
};

static int epoll, listener;
static char buffer[BUFFER_SIZE];
static struct conn *all; /* of fan-out */

void watch(struct conn *c, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = c};

	c->events = events;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e) < 0)
		die("epoll_ctl");
}

void want(struct conn *c, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = c};

	if (c->events == events)
		return;
	c->events = events;
	if (epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e) < 0)
		die("epoll_ctl");
}

static int echo_rest(struct conn *c)
{
	ssize_t n = send(c->fd, c->rest + c->rest_sent, c->rest_size - c->rest_sent, MSG_NOSIGNAL);

	if (n < 0)
		return later();
	c->rest_sent += (size_t)n;
	if (c->rest_sent < c->rest_size)
		return 0;
	free(c->rest);
	c->rest = NULL;
	want(c, LEVEL);
	return 0;
}

/* Keeps what the socket did not take, and reads nothing before that is gone. */
static int echo_keep(struct conn *c, const char *data, size_t n)
{
	c->rest = malloc(n);
	if (c->rest == NULL)
		return -1;
	memcpy(c->rest, data, n);
	c->rest_size = n;
	c->rest_sent = 0;
	want(c, EPOLLOUT);
	return 0;
}

static int echo(struct conn *c)
{
	ssize_t n = recv(c->fd, buffer, sizeof buffer, 0), sent;

	if (n <= 0)
		return n < 0 ? later() : -1;
	sent = send(c->fd, buffer, (size_t)n, MSG_NOSIGNAL);
	if (sent == n)
		return 0;
	if (sent < 0) {
		if (later() < 0)
			return -1;
		sent = 0;
	}
	return echo_keep(c, buffer + sent, (size_t)(n - sent));
}

static int receive(struct conn *c)
{
	ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);

	if (n <= 0)
		return n < 0 ? later() : -1;
	take(&c->sink, buffer, (size_t)n, port_of, &c->fd);
	return 0;
}

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
			     "Content-Length: 13\r\n\r\nHello, World!";

/* Answers requests without a body, each of which comes in one piece. */
static int http(struct conn *c)
{
	ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
	char *end = buffer + n;

	if (n <= 0)
		return n < 0 ? later() : -1;
	for (char *p = buffer; (p = memmem(p, (size_t)(end - p), "\r\n\r\n", 4)) != NULL; p += 4)
		if (send(c->fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0)
			return -1;
	return 0;
}

/* Sends what is owed until the socket is full. */
static int push(struct conn *c)
{
	while (c->owed > 0) {
		ssize_t n = send(c->fd, at(c->pos), c->owed < PIECE_MAX ? c->owed : PIECE_MAX,
				 MSG_NOSIGNAL);
		if (n < 0)
			return later();
		c->owed -= n;
		c->pos += n;
	}
	return 0;
}

/* The same out of the file, at most one SIZE at a time: each is a file's. */
static int push_file(struct conn *c)
{
	while (c->owed > 0) {
		off_t offset = c->pos % period;
		ssize_t n = sendfile(c->fd, PATTERN_FD, &offset,
				     c->owed % size ? c->owed % size : size);
		if (n <= 0)
			return n < 0 ? later() : -1;
		c->owed -= n;
		c->pos += n;
	}
	return 0;
}

/* Takes what the client asks for: the number of bytes is that of messages. */
static int asked(struct conn *c, long long *messages)
{
	char credit[512];
	ssize_t n;

	do {
		n = recv(c->fd, credit, sizeof credit, 0);
		if (n <= 0)
			return n < 0 ? later() : -1;
		*messages += n;
	} while (n == sizeof credit);
	return 0;
}

/* Answers it. */
static int pull(struct conn *c)
{
	long long messages = 0;
	int err = asked(c, &messages);

	c->owed += messages * size;
	return err < 0 || c->writable(c) < 0 ? -1 : 0;
}

static void greet(void);

/* Sends to all what one asks for. One whose connection is broken learns it by its
 * next event. */
static int pull_for_all(struct conn *c)
{
	long long messages = 0;
	int err = asked(c, &messages);

	greet(); /* who has connected before the message was asked for gets it */
	for (struct conn *m = all; messages > 0 && m != NULL; m = m->next) {
		m->owed += messages * size;
		push(m);
	}
	return err;
}

static void join(struct conn *c)
{
	c->next = all;
	c->link = &all;
	if (all != NULL)
		all->link = &c->next;
	all = c;
}

static void leave(struct conn *c)
{
	if (c->link != NULL) {
		*c->link = c->next;
		if (c->next != NULL)
			c->next->link = c->link;
	}
	close(c->fd);
	free(c->rest);
	free(c);
	page->conns--;
}

static const struct mode {
	const char *name;
	uint32_t events;
	handler *readable, *writable;
	void (*accepted)(struct conn *c);
	int family;
} modes[] = {
	{"echo", LEVEL, echo, echo_rest, NULL, AF_INET},
	{"echo-unix", LEVEL, echo, echo_rest, NULL, AF_UNIX},
	{"receive", LEVEL, receive, NULL, NULL, AF_INET},
	{"http", LEVEL, http, NULL, NULL, AF_INET},
	{"send", EDGE, pull, push, NULL, AF_INET},
	{"sendfile", EDGE, pull, push_file, NULL, AF_INET},
	{"fan-out", EDGE, pull_for_all, push, join, AF_INET},
	{"relay", LEVEL, NULL, NULL, relay_to, AF_INET},
	{NULL, 0, NULL, NULL, NULL, 0},
}, *mode;

static void greet(void)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = calloc(1, sizeof *c);

		if (c == NULL)
			die("calloc");
		c->fd = fd;
		c->readable = mode->readable;
		c->writable = mode->writable;
		if (mode->accepted != NULL)
			mode->accepted(c);
		watch(c, mode->events);
		page->conns++;
	}
}

static void on_event(struct conn *c, uint32_t events)
{
	if (events & EPOLLERR ||
	    (events & (EPOLLIN | EPOLLHUP) && c->readable != NULL && c->readable(c) < 0) ||
	    (events & EPOLLOUT && c->writable != NULL && c->writable(c) < 0)) {
		if (c->closed != NULL)
			c->closed(c);
		else
			leave(c);
	}
}

static void serve(void)
{
	struct epoll_event events[EVENTS_MAX], e = {.events = EPOLLIN, .data.ptr = NULL};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e) < 0)
		die("epoll_ctl");
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS_MAX, -1);

		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				greet();
			else
				on_event(events[i].data.ptr, events[i].events);
		}
		free_closed();
	}
}

int main(int argc, char **argv)
{
	set_up(argc, argv);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		die("epoll_create1");
	if (strcmp(argv[1], "datagrams") == 0)
		serve_datagrams();
	for (mode = modes; mode->name != NULL && strcmp(mode->name, argv[1]) != 0;)
		mode++;
	if (mode->name == NULL) {
		fprintf(stderr, "there is no mode %s\n", argv[1]);
		return 2;
	}
	if (argc > 4)
		relay_target(argv[4]);
	listener = bound_socket(mode->family, SOCK_STREAM | SOCK_NONBLOCK);
	if (mode->family == AF_INET)
		no_delay(listener);
	announce(listener, true);
	serve();
}
