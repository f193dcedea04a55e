#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "services/listen.h"

static bool
is_listening(int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

static size_t
passed(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");

	if (pid == NULL || fds == NULL || strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	return strtoul(fds, NULL, 10);
}

enum hl_err
listen_take(size_t want, int *ret_fds, struct buf *problem)
{
	size_t n = passed();
	int first = LISTEN_FIRST;

	if (n == 0 && want == 1 && is_listening(STDIN_FILENO)) {
		n = 1;
		first = STDIN_FILENO;
	}
	if (n != want) {
		buf_printf(problem, "This program is started with %zu listening socket%s: by systemd or helpline supervise "
		    "(LISTEN_FDS)%s. It got %zu.", want, want == 1 ? "" : "s",
		    want == 1 ? ", or by spawn-fcgi on descriptor 0" : "", n);
		return HL_BAD_REQUEST;
	}
	for (size_t i = 0; i < want; i++) {
		ret_fds[i] = first + (int)i;
		if (!is_listening(ret_fds[i])) {
			buf_printf(problem, "Descriptor %d is not a listening socket.", ret_fds[i]);
			return HL_BAD_REQUEST;
		}
		fcntl(ret_fds[i], F_SETFD, FD_CLOEXEC);
	}
	return HL_OK;
}
