/*
 * answer.h - what the events program answers, read as slices of its text, so that arguments reach clients
 * byte for byte.  No I/O.
 */
#ifndef HL_PUSH_ANSWER_H
#define HL_PUSH_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/socketio.h"
#include "push/message.h"

/*
 * Members that are absent or null have len 0; seq is -1.  An item of join is {"room", "alias"?, "then"?: what comes back with the
 * question "joined", "own"?, "ack"?: as below, when it has joined, "unless"?, "wait"?, "alone"?: late.c}.
 */
struct answer {
	struct span	 refuse;	/* an object */
	struct span	 line;		/* an object (line.h) */
	struct span	 state;		/* any value */
	struct span	 ack;		/* arguments */
	struct span	 join, leave, emit, messages;	/* arrays */
	struct span	 back;		/* to a connect, like join: the rooms of a socket that was cut off, before CONNECT goes out */
	int64_t		 seq;
	int64_t		 from;		/* its emissions tell all that came after that, up to seq; absent: -1 */
	int64_t		 own;		/* of what the socket has said, which it is not to hear itself; absent: -1 */
	int64_t		 epoch;		/* of the room that was joined; absent: 0 */
	int64_t		 lives_ms;	/* to a connect: as long as the token that it came with; absent: -1 */
};

/* The text must outlive the answer.  HL_UPSTREAM: it is not what the protocol says. */
enum hl_err answer_parse(const char *, size_t, struct answer *ret) HL_MUST_CHECK;

/* Slices of JSON that has been checked. */
struct span span_member(struct span object, const char *name);
/* Items of an array: *at is NULL at first; false after the last one. */
bool	 span_next(struct span array, const char **at, struct span *ret_item);
int64_t	 span_integer(struct span, int64_t otherwise);
/* Appends the text of a string; false if it is none, or not one that we take (JSON_STRICT). */
bool	 span_text(struct span, struct buf *);

/*
 * The packet that carries arguments to a client: [..], or {"args":[..],"binary":["base64",..]} with
 * attachments. messages has room for 1 + SIO_MAX_ATTACHMENTS; the caller owns one reference to each.
 * HL_UPSTREAM: not that shape.
 */
enum hl_err packet_messages(enum sio_type, struct span nsp, struct span id, struct span args,
    struct message **ret_messages, unsigned *ret_count) HL_MUST_CHECK;

/*
 * Appends arguments with one more at their end, the offset of Socket.IO's connection state recovery; as they are where
 * there is no place for it (attachments, nothing in them).  args is an array or what packet_messages() takes.
 */
void	 args_with_offset(struct buf *, struct span args, const char *offset);

#endif
