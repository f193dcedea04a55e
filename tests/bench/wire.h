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
 * The first whole frame of a server's bytes, from offset at on: its length in bytes, or 0 if there is none.  It is text, or
 * binary where a packet before it says so; others are not expected from pushd by a client that sends none.
 */
size_t	 frame_take(const struct buf *, size_t at, const char **ret_bytes, size_t *ret_len);

/* A frame as a client must send it, shorter than 65536 bytes; the mask is zero, so that it costs nothing. */
enum frame { FRAME_TEXT = 1, FRAME_BINARY = 2 };
void	 frame_add(struct buf *, enum frame, const char *, size_t);

void	 socket_open(struct wire *, int port);		/* asks for a WebSocket of Socket.IO */
/*
 * Bytes of the answer to that, and of what follows, which may come with it at once: its frames are added.  False: it was refused;
 * a->raw says how.
 */
bool	 socket_feed(struct answer *, struct buf *frames, const char *, size_t);
void	 socket_say(struct wire *, const char *text);	/* a packet without attachments */
bool	 text_starts(const char *text, size_t len, const char *prefix);

#endif
