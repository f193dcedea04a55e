/*
 * message.h - what goes to sockets: one immutable message shared by all who receive it.
 *
 * The bytes of its WebSocket frame lie in one piece (server frames are not masked, so every receiver gets the
 * same ones); a polling payload takes the part behind the frame's header.  No I/O.
 */
#ifndef HL_MESSAGE_H
#define HL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum message_kind {
	MESSAGE_TEXT,		/* an Engine.IO packet as text */
	MESSAGE_BINARY,		/* a binary message's bytes */
	MESSAGE_RAW		/* bytes for a connection as they are: an HTTP answer, a control frame */
};

#define MESSAGE_HEADROOM	10u	/* the longest header of a frame from a server */

struct message {
	uint32_t	 refs;
	uint32_t	 len;		/* of the data */
	uint8_t		 header;	/* bytes of the frame's header in front of the data */
	uint8_t		 kind;
	/* MESSAGE_HEADROOM, of which the last ones are the header, and the data */
	char		 bytes[];
};

/* Copies; the caller owns one reference.  NULL: out of memory. */
struct message *message_new(enum message_kind, const void *, size_t);
struct message *message_ref(struct message *);
void	 message_unref(struct message *);	/* NULL is allowed */

static inline const char *
message_data(const struct message *m)
{
	return m->bytes + MESSAGE_HEADROOM;
}

static inline const char *
message_frame(const struct message *m)
{
	return m->bytes + MESSAGE_HEADROOM - m->header;
}

static inline size_t
message_frame_len(const struct message *m)
{
	return m->header + (size_t)m->len;
}

/* Messages that wait.  All zero is an empty one. */
struct queue {
	struct queued	*head, *last;
	size_t		 bytes;		/* with what each entry costs */
};

#define QUEUE_MAX	(1u << 20)	/* bytes behind the first message after which a reader counts as too slow */

bool	 queue_full(const struct queue *);
/* Takes a reference of its own.  HL_BUSY: full; HL_NO_MEMORY. */
enum hl_err queue_add(struct queue *, struct message *) HL_MUST_CHECK;
struct message *queue_first(const struct queue *);	/* NULL if empty */
/* Up to max of the first messages, in order. */
size_t	 queue_peek(const struct queue *, struct message **, size_t max);
void	 queue_drop(struct queue *);			/* the first one, with its reference */
void	 queue_clear(struct queue *);
void	 queue_move(struct queue *to, struct queue *from);	/* behind what is there */

#endif
