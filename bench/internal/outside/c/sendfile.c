/*
 * A file server for the benchmark, as one would write it in C: one thread,
 * edge-triggered epoll, sendfile(2). For each byte that a client sends it gets
 * SIZE bytes of the file at descriptor 3, which repeats after PERIOD bytes, from
 * where the last ones ended.
 *
 * sendfile SIZE PERIOD: writes the address that it listens on to standard output.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FILE_FD = 3, EVENTS_MAX = 256 };

struct conn {
	int fd;
	long long owed; /* bytes */
	off_t offset;	/* in the file, less than the period */
};

static long long size, period;
static int epoll;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Sends what is owed until the socket is full. Returns -1 on an error. */
static int push(struct conn *c)
{
	while (c->owed > 0) {
		long long piece = c->owed % size ? c->owed % size : size;
		off_t offset = c->offset;
		ssize_t n = sendfile(c->fd, FILE_FD, &offset, piece);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		if (n == 0)
			return -1;
		c->owed -= n;
		c->offset = (c->offset + n) % period;
	}
	return 0;
}

/* Takes what the client asks for. Returns -1 at its end. */
static int pull(struct conn *c)
{
	char credit[512];

	for (;;) {
		ssize_t n = recv(c->fd, credit, sizeof credit, 0);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		if (n == 0)
			return -1;
		c->owed += n * size;
		if (n < (ssize_t)sizeof credit)
			return 0;
	}
}

static void greet(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = calloc(1, sizeof *c);
		struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
					.data.ptr = c};
		/* as Go and asyncio set it on every connection */
		if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0)
			die("TCP_NODELAY");
		if (c == NULL)
			die("calloc");
		c->fd = fd;
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0)
			die("epoll_ctl");
	}
}

static int listen_anywhere(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t len = sizeof addr;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 ||
	    listen(fd, SOMAXCONN) < 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		die("listen");
	printf("127.0.0.1:%d\n", ntohs(addr.sin_port));
	fflush(stdout);
	return fd;
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX];
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
	int listener;

	if (argc != 3)
		return 2;
	size = atoll(argv[1]);
	period = atoll(argv[2]);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	listener = listen_anywhere();
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e) < 0)
		die("epoll");
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS_MAX, -1);
		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;
			if (c == NULL) {
				greet(listener);
			} else if ((events[i].events & EPOLLIN && pull(c) < 0) || push(c) < 0) {
				close(c->fd);
				free(c);
			}
		}
	}
}
