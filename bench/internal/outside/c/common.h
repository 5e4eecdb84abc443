/* What the servers in C have in common. Each is started as
 *
 *   PROGRAM MODE SIZE PERIOD [TARGET]
 *
 * with the pattern at descriptor 3, a file that repeats after PERIOD bytes and of
 * which any FILE_MAX bytes that begin within a period are one piece, and at descriptor
 * 4 the page that the benchmark watches. It writes the address that it listens on to
 * standard output.
 */
#ifndef COMMON_H
#define COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { PATTERN_FD = 3, PAGE_FD = 4, FILE_MAX = 1 << 20 };

/* contest.Page. Only this process writes to it, but for verify. */
struct page {
	volatile int64_t conns; /* accepted and not yet lost */
	char line0[64];
	volatile int64_t received; /* bytes, in the mode receive */
	char line1[64];
	volatile uint32_t verify; /* compare all that comes in the mode receive */
	volatile int64_t mismatched;
	volatile int64_t place; /* of the first: offset << 16 | port */
};

/* How far one connection's stream is, in the mode receive. */
struct sink {
	int64_t pos;
	size_t turn;
};

extern struct page *page;
extern const char *pattern;
extern long long size, period; /* of a message, and of the pattern, in bytes */

void die(const char *what) __attribute__((noreturn));

/* Reads the arguments, maps the pattern and the page, and allows as many descriptors
 * as there may be. */
void set_up(int argc, char **argv);

/* Returns a socket on a free port of 127.0.0.1, or with an abstract name of its own
 * if it is Unix's. It is not yet announced. */
int bound_socket(int family, int type);

/* Listens on a socket and announces its address; of one for datagrams it only announces. */
void announce(int fd, bool listens);

/* Compares what came on socket fd, all of it or a window, and counts it. peer gives
 * the address from which it came, and is asked only if something is wrong. */
void take(struct sink *s, const char *data, size_t n, uint16_t (*port)(void *), void *of);

/* The remote port of a socket, whose descriptor of points to. */
uint16_t port_of(void *of);

/* Go and asyncio set TCP_NODELAY on every connection. What is accepted inherits it
 * from the listener. */
void no_delay(int fd);

/* Where in the pattern position pos of a stream is. */
static inline const char *at(int64_t pos) { return pattern + pos % period; }

#endif
