#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sockets.h"

#define PORTS_TRIED	100

static int
unix_address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return snprintf(ret->sun_path, sizeof(ret->sun_path), "%s", path) < (int)sizeof(ret->sun_path) ? 0 : -1;
}

enum hl_err
socket_unix(const char *path, mode_t mode, int *ret_fd, struct buf *problem)
{
	struct sockaddr_un sa;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && unix_address(path, &sa) == 0 && (unlink(path) == 0 || errno == ENOENT) &&
	    bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0 && chmod(path, mode) == 0 &&
	    listen(fd, SOCKET_BACKLOG) == 0) {
		*ret_fd = fd;
		return HL_OK;
	}
	buf_printf(problem, "the socket %s cannot be made: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return HL_INTERNAL;
}

static int
tcp_listen(int family, const struct sockaddr *sa, socklen_t len)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, saved;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, sa, len) == 0 && listen(fd, SOCKET_BACKLOG) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* 0: bound; otherwise errno. */
static int
bind_both(int port, struct front *ret)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	socklen_t len = sizeof(v4);
	int err;

	v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ret->count = 1;
	ret->fds[0] = tcp_listen(AF_INET, (const struct sockaddr *)&v4, sizeof(v4));
	if (ret->fds[0] < 0)
		return errno;
	if (getsockname(ret->fds[0], (struct sockaddr *)&v4, &len) != 0)
		return errno;
	ret->port = ntohs(v4.sin_port);
	v6.sin6_port = v4.sin_port;
	ret->fds[1] = tcp_listen(AF_INET6, (const struct sockaddr *)&v6, sizeof(v6));
	if (ret->fds[1] >= 0)
		ret->count = 2;
	else if (errno == EADDRINUSE) {		/* any other failure: no IPv6 here */
		err = errno;
		close(ret->fds[0]);
		return err;
	}
	return 0;
}

enum hl_err
socket_front(int port, bool exact, struct front *ret, struct buf *problem)
{
	int err = bind_both(port, ret);

	for (int i = 1; err == EADDRINUSE && !exact && i <= PORTS_TRIED; i++)
		err = bind_both(i < PORTS_TRIED && port + i < 65536 ? port + i : 0, ret);
	if (err == 0)
		return HL_OK;
	buf_printf(problem, "port %d cannot be used: %s", port, err == EADDRINUSE ?
	    "another program listens on it; choose another one with --port" : strerror(err));
	return err == EADDRINUSE ? HL_CONFLICT : HL_INTERNAL;
}

bool
socket_answers(int port, int ms)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err = 0;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(err);
	bool ok = false;

	if (fd < 0)
		return false;
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0)
		ok = true;
	else if (errno == EINPROGRESS && poll(&p, 1, ms) == 1)
		ok = getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == 0;
	close(fd);
	return ok;
}

bool
socket_unix_answers(const char *path)
{
	struct sockaddr_un sa;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && unix_address(path, &sa) == 0 &&
	    connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}
