/* Datagrams of the server on epoll: those that are there are received by one call and
 * sent back by another, and nothing has to tell of them, because there is one socket. */
#define _GNU_SOURCE
#include <netinet/in.h>

#include "epoll.h"

enum { BATCH = 64, DATAGRAM_MAX = 64 << 10, RECEIVE_BUFFER = 4 << 20 };

static char payload[BATCH][DATAGRAM_MAX];

void serve_datagrams(void)
{
	static struct mmsghdr messages[BATCH];
	static struct iovec pieces[BATCH];
	static struct sockaddr_in peers[BATCH];
	int fd = bound_socket(AF_INET, SOCK_DGRAM), room = RECEIVE_BUFFER;

	/* The kernel makes as much of it as net.core.rmem_max allows. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	announce(fd, false);
	for (;;) {
		int n, sent;

		for (int i = 0; i < BATCH; i++) {
			pieces[i] = (struct iovec){payload[i], DATAGRAM_MAX};
			messages[i].msg_hdr = (struct msghdr){
				.msg_name = &peers[i], .msg_namelen = sizeof peers[i],
				.msg_iov = &pieces[i], .msg_iovlen = 1};
		}
		n = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
		for (int i = 0; i < n; i++)
			pieces[i].iov_len = messages[i].msg_len;
		for (int i = 0; i < n; i += sent > 0 ? sent : 1)
			sent = sendmmsg(fd, messages + i, (unsigned)(n - i), 0);
	}
}
