/*
 * sockets.h - listening sockets that outlive the programs behind them.
 *
 * They are bound once; a connection that arrives while a program is started again waits in the backlog.  They are
 * non-blocking, as nginx expects of those it inherits.
 */
#ifndef HL_SOCKETS_H
#define HL_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

#define SOCKET_BACKLOG	4096

/* path is relative and short; what lies there is replaced. */
enum hl_err socket_unix(const char *path, mode_t mode, int *ret_fd, struct buf *problem) HL_MUST_CHECK;

/* 127.0.0.1 and, where there is IPv6, ::1, on the same port. */
struct front {
	int	fds[2];
	size_t	count;
	int	port;
};

/* port 0 is any free one.  Not exact: the next free one is taken instead.  HL_CONFLICT: the port is in use. */
enum hl_err socket_front(int port, bool exact, struct front *ret, struct buf *problem) HL_MUST_CHECK;

/* Does a TCP server answer on that port of loopback? */
bool	 socket_answers(int port, int ms);

/* Does somebody accept connections on that unix socket? */
bool	 socket_unix_answers(const char *path);

#endif
