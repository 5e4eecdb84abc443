#define _GNU_SOURCE
#include "common.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

_Static_assert(offsetof(struct page, received) == 72, "contest.Page.Received");
_Static_assert(offsetof(struct page, verify) == 144, "contest.Page.Verify");
_Static_assert(offsetof(struct page, place) == 160, "contest.Page.place");

struct page *page;
const char *pattern;
long long size, period;

void die(const char *what)
{
	perror(what);
	exit(1);
}

static void allow_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("setrlimit");
}

void set_up(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "a mode, a size and a period are needed\n");
		exit(2);
	}
	size = atoll(argv[2]);
	period = atoll(argv[3]);
	pattern = mmap(NULL, period + FILE_MAX, PROT_READ, MAP_SHARED | MAP_POPULATE,
		       PATTERN_FD, 0);
	page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, PAGE_FD, 0);
	if (pattern == MAP_FAILED || page == MAP_FAILED)
		die("mmap");
	allow_files();
}

int bound_socket(int family, int type)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	sa_family_t un = AF_UNIX; /* and no name: the kernel chooses one */
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		die("socket");
	if (family == AF_UNIX) {
		if (bind(fd, (struct sockaddr *)&un, sizeof un) < 0)
			die("bind");
	} else if (bind(fd, (struct sockaddr *)&in, sizeof in) < 0) {
		die("bind");
	}
	return fd;
}

void announce(int fd, bool listens)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_un un;
	} a;
	socklen_t len = sizeof a;

	if (listens && listen(fd, SOMAXCONN) < 0)
		die("listen");
	if (getsockname(fd, &a.any, &len) < 0)
		die("getsockname");
	if (a.any.sa_family == AF_UNIX)
		printf("@%.*s\n", (int)(len - sizeof a.any.sa_family - 1), a.un.sun_path + 1);
	else
		printf("127.0.0.1:%d\n", ntohs(a.in.sin_port));
	fflush(stdout);
}

void no_delay(int fd)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0)
		die("TCP_NODELAY");
}

uint16_t port_of(void *of)
{
	struct sockaddr_in a = {0};
	socklen_t len = sizeof a;

	getpeername(*(int *)of, (struct sockaddr *)&a, &len);
	return ntohs(a.sin_port);
}

/* What contest.Sink compares in any case: windows that overlap somewhat, further on
 * each time, and that may hang over an end. */
enum { WINDOW_SIZE = 2 << 10, WINDOW_STEP = WINDOW_SIZE - 129 };

static void compare(int64_t pos, const char *data, size_t n, uint16_t (*port)(void *),
		    void *of)
{
	size_t i = 0;

	if (memcmp(data, at(pos), n) == 0)
		return;
	while (data[i] == at(pos)[i])
		i++;
	if (page->place == 0)
		page->place = (pos + (int64_t)i) << 16 | port(of);
	page->mismatched++;
}

void take(struct sink *s, const char *data, size_t n, uint16_t (*port)(void *), void *of)
{
	if (page->verify || n <= WINDOW_SIZE) {
		compare(s->pos, data, n, port, of);
	} else {
		size_t end = (s->turn %= n + WINDOW_SIZE - 1) + 1;
		size_t from = end > WINDOW_SIZE ? end - WINDOW_SIZE : 0;

		s->turn += WINDOW_STEP;
		compare(s->pos + (int64_t)from, data + from, (end < n ? end : n) - from, port, of);
	}
	s->pos += (int64_t)n;
	page->received += (int64_t)n;
}
