/*
 * listen.h - the listening sockets that a program is started with.
 *
 * sd_listen_fds(3): LISTEN_FDS descriptors from 3 on when LISTEN_PID is this process; else descriptor 0 if it is a
 * listening socket, as spawn-fcgi and systemd's StandardInput=socket give it.
 */
#ifndef HL_LISTEN_H
#define HL_LISTEN_H

#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

#define LISTEN_FIRST	3	/* SD_LISTEN_FDS_START */

/* Exactly want descriptors, close-on-exec.  Otherwise *problem says how to start the program. */
enum hl_err listen_take(size_t want, int *ret_fds, struct buf *problem) HL_MUST_CHECK;

#endif
