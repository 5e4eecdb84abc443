/* What the parts of the server on epoll have in common: one thread, and a function
 * for each event of a connection. */
#ifndef EPOLL_H
#define EPOLL_H

#include <errno.h>
#include <sys/epoll.h>
#include <sys/types.h>

#include "common.h"

struct conn;

/* Does what an event asks for. Returns -1 at the end of the connection. */
typedef int handler(struct conn *c);

struct conn {
	int fd;
	uint32_t events;	       /* that epoll tells of */
	handler *readable, *writable;  /* the second may be NULL */
	void (*closed)(struct conn *c); /* instead of closing it; may be NULL */
	struct sink sink;	       /* of receive */
	char *rest;		       /* of echo: what the socket did not take */
	size_t rest_size, rest_sent;
	long long owed;		       /* of send, sendfile and fan-out: bytes */
	int64_t pos;		       /* of the stream that goes out */
	struct conn *next, **link;     /* of fan-out: all, and what points here */
	struct conn *other;	       /* of relay */
	int pipe[2];		       /* of relay: from here to the other */
	size_t piped;		       /* bytes in it */
	bool ended, told;	       /* of relay: what comes in, and the other was told */
};

/* Adds a descriptor to the epoll set. */
void watch(struct conn *c, uint32_t events);

/* Has epoll tell of other events. */
void want(struct conn *c, uint32_t events);

/* 0 if a call failed because it would have to wait, else -1. */
static inline int later(void) { return errno == EAGAIN || errno == EINTR ? 0 : -1; }

/* Makes a connection of relay to the target and joins it to c. */
void relay_to(struct conn *c);

/* Frees connections of relay that were closed in this round. */
void free_closed(void);

/* Where relay connects to: host:port. */
void relay_target(const char *address);

/* Echoes datagrams for good. */
void serve_datagrams(void) __attribute__((noreturn));

#endif
