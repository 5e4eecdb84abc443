/*
 * Two servers for the benchmark, as one would write them in C: one thread and
 * edge-triggered epoll. For each byte that comes,
 *
 *   sendfile  the client that sent it gets SIZE bytes, by sendfile(2);
 *   fan-out   all clients get SIZE bytes, by send(2) out of memory;
 *
 * of the file at descriptor 3, which repeats after PERIOD bytes, from where the last
 * ones of that client ended.
 *
 * server sendfile|fan-out SIZE PERIOD: writes the address that it listens on to
 * standard output.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_FD = 3, EVENTS_MAX = 256 };

struct conn {
	int fd;
	long long owed; /* bytes */
	off_t offset;	/* in the file, less than the period */
	struct conn *next, **link; /* of all, and what points here */
};

static long long size, period;
static int epoll, listener;
static char *memory; /* the file, of fan-out; else NULL */
static struct conn *all;

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
		ssize_t n = memory ? send(c->fd, memory + offset, piece, MSG_NOSIGNAL)
				   : sendfile(c->fd, FILE_FD, &offset, piece);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		if (n == 0)
			return -1;
		c->owed -= n;
		c->offset = (c->offset + n) % period;
	}
	return 0;
}

static void greet(void);

/* Sends to all. One whose connection is broken is told by its next event. */
static void tell(long long bytes)
{
	greet(); /* who has connected before the message was asked for gets it */
	for (struct conn *c = all; c != NULL; c = c->next) {
		c->owed += bytes;
		push(c);
	}
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
		if (memory)
			tell(n * size);
		else
			c->owed += n * size;
		if (n < (ssize_t)sizeof credit)
			return 0;
	}
}

static void greet(void)
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
		c->next = all;
		c->link = &all;
		if (all != NULL)
			all->link = &c->next;
		all = c;
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0)
			die("epoll_ctl");
	}
}

static void leave(struct conn *c)
{
	*c->link = c->next;
	if (c->next != NULL)
		c->next->link = c->link;
	close(c->fd);
	free(c);
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

/* Maps the file, for send(2). */
static void map_file(void)
{
	struct stat st;

	if (fstat(FILE_FD, &st) < 0)
		die("fstat");
	memory = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, FILE_FD, 0);
	if (memory == MAP_FAILED)
		die("mmap");
}

/* As Go does for its programs: as many descriptors as are to be had. */
static void allow_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("setrlimit");
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX];
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};

	if (argc != 4)
		return 2;
	if (strcmp(argv[1], "fan-out") == 0)
		map_file();
	size = atoll(argv[2]);
	period = atoll(argv[3]);
	allow_files();
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
				greet();
			} else if ((events[i].events & EPOLLIN && pull(c) < 0) || push(c) < 0) {
				leave(c);
			}
		}
	}
}
