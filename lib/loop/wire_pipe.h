/*
 * wire_pipe.h - one end of the private connection (a unix socket) on which frames of base/wire.h go either way.
 */
#ifndef HL_WIRE_PIPE_H
#define HL_WIRE_PIPE_H

#include <uv.h>

#include "base/wire.h"

struct wire_pipe;

/* Called from the loop.  Both may close the pipe; after that neither is called again. */
struct wire_pipe_calls {
	bool	(*frame)(void *arg, const struct wire_frame *);	/* lives until it returns; false: this is not how the other end speaks */
	void	(*lost)(void *arg);	/* the connection is at an end, or frame() said false; it is still to be closed */
};

/* Frames may be sent at once.  That nobody is there is told by sending the first one (HL_UPSTREAM), or later by lost(). */
enum hl_err wire_pipe_connect(uv_loop_t *, const char *path, const struct wire_pipe_calls *, void *arg,
    struct wire_pipe **ret) HL_MUST_CHECK;
/* The connection that the listener has just announced. */
enum hl_err wire_pipe_accept(uv_stream_t *listener, const struct wire_pipe_calls *, void *arg, struct wire_pipe **ret) HL_MUST_CHECK;

/*
 * Copies, and returns before it is written.  HL_BUSY: more than most_waiting bytes have not been taken by the other end;
 * HL_TOO_LARGE: no frame is that long; HL_UPSTREAM: nobody is there.  What is not sent is gone.
 */
enum hl_err wire_pipe_send(struct wire_pipe *, size_t most_waiting, const struct wire_frame *) HL_MUST_CHECK;

void	 wire_pipe_close(struct wire_pipe *);	/* NULL is allowed.  The loop must run once more to free it */

#endif
