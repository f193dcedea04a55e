/*
 * wire.h - what the load generator speaks: connections to the loopback, HTTP answers and WebSocket frames out of them.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

#include "base/buf.h"

struct wire {
	uv_tcp_t	 tcp;
	uv_connect_t	 connecting;
	void		(*opened)(struct wire *);
	void		(*bytes)(struct wire *, const char *, size_t);
	void		(*ended)(struct wire *, const char *why);	/* once, at most */
};

void	 wire_connect(uv_loop_t *, struct wire *, int port);
void	 wire_send(struct wire *, const char *, size_t);
void	 wire_close(struct wire *);

/* An HTTP/1.1 answer as it comes.  The body is there as far as it has come; its reader may consume it. */
struct answer {
	struct buf	 raw, body;
	size_t		 left;		/* of the body, or of the chunk */
	int		 status;	/* 0 until the head is there */
	bool		 chunked, complete;
};

void	 answer_reset(struct answer *);
void	 answer_feed(struct answer *, const char *, size_t);

/*
 * The first whole text frame of a server's bytes: its length in bytes, or 0 if there is none.  Frames of other kinds
 * are not expected from pushd by a client that sends none.
 */
size_t	 frame_take(const struct buf *, const char **ret_text, size_t *ret_len);

/* A text frame as a client must send it; the mask is zero, so that it costs nothing. */
void	 frame_add(struct buf *, const char *, size_t);

#endif
