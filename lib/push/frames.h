/*
 * frames.h - WebSocket frames of a client, as bytes come: whole messages out of them (libwslay), and what the protocol answers
 * by itself.  No I/O.
 */
#ifndef HL_FRAMES_H
#define HL_FRAMES_H

#include <stdbool.h>
#include <stddef.h>

/* A frame that says 1002, protocol error, and closes. */
#define FRAMES_CLOSE_1002	"\x88\x02\x03\xea"

struct frames;

/* What is told of the frames; the bytes are the caller's for as long as the call. */
struct frames_calls {
	void	(*message)(void *arg, const char *bytes, size_t len, bool binary);
	void	(*reply)(void *arg, const char *bytes, size_t len);	/* frames to send: pongs and close frames */
};

enum frames_end {
	FRAMES_GO_ON,
	FRAMES_OVER,		/* the other side has closed or broken the protocol: the reply that says so was given */
	FRAMES_BROKEN,		/* it has broken the protocol, and no reply was given */
	FRAMES_NO_MEMORY
};

/*
 * *reader is NULL at first, and is NULL again whenever no part of a frame or of a fragmented message is pending: who is silent
 * holds no buffers.  max_message: bytes.  The calls may not free the reader.
 */
enum frames_end frames_read(struct frames **reader, const struct frames_calls *, void *arg, size_t max_message,
    const char *bytes, size_t len);
void	 frames_free(struct frames *);

#endif
