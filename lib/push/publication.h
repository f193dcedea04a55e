/*
 * publication.h - what is said to a room: the text of it on the room's channel, and the messages for sockets made of it.
 *
 * The text is "<seq> <epoch> <except>" and then one JSON array a line, each an event, or, if it is not counted,
 * {"args":[…],"binary":[base64…]}.  The socket <except> does not get the first of them, for it is what that socket said;
 * it is "-" for none, and "~" says that all this leads to the next counted publication and is nothing after it (the words of
 * an answer that is being written, that it is being written).
 *
 * With offsets on, the first event of a counted publication (the one that a replay gives too) has one more argument, by
 * which clients say on their return how far they came: "<seq>.<the last six characters of the room's name>", and behind
 * them ".<alias>" (room.h) where that is an id, by which the events program finds the room again for a daemon that knows
 * nothing of the socket.  It is the same for all who get it, so a publication is still encoded once.
 */
#ifndef HL_PUBLICATION_H
#define HL_PUBLICATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/id.h"
#include "base/socketio.h"
#include "push/message.h"

#define PUBLICATION_MAX_EVENTS	64
#define PUBLICATION_TAG_MAX	(8 + ID_LEN)			/* with its NUL */
#define PUBLICATION_OFFSET_MAX	(20 + 1 + PUBLICATION_TAG_MAX)	/* likewise */
#define HELD_MAX		256	/* publications */

/* Events for all members of a room, ready to be sent on the namespace "/". */
struct publication {
	unsigned	 refs, count;
	int64_t		 seq;			/* 0: not counted */
	int64_t		 epoch;
	char		 except[ID_LEN + 1];	/* the socket that does not get the first; "" for none */
	bool		 passing;		/* nothing once the counted one behind it has been told */
	struct message	*messages[];		/* "42[…]" each */
};

/* Without events; the caller owns its only reference.  NULL: no memory. */
struct publication *publication_new(int64_t seq);
/* One more event, as a line of the text has it.  tag is the room's for the offset, or NULL for none. */
enum hl_err publication_add(struct publication *, const char *event, size_t len, const char *tag) HL_MUST_CHECK;
/* The text.  HL_BAD_REQUEST: not a publication. */
enum hl_err publication_parse(const char *payload, size_t len, const char *tag, struct publication **ret) HL_MUST_CHECK;
void	 publication_unref(struct publication *);

/* What offsets of that room end with; alias may be empty. */
void	 publication_tag(const char *room, struct span alias, char out[PUBLICATION_TAG_MAX]);
void	 publication_offset(const char *tag, int64_t seq, char out[PUBLICATION_OFFSET_MAX]);
/* The seq of an offset of that room, with whatever alias; -1: it is not one. */
int64_t	 publication_offset_seq(const char *room, const char *offset, size_t len);
/* The alias of an offset, and its seq; false: it has none that is an id, or is no offset. */
bool	 publication_offset_alias(const char *offset, char ret_alias[ID_LEN + 1], int64_t *ret_seq) HL_MUST_CHECK;

/* Publications that wait, in their order; zeros are an empty list. */
struct held_list { struct held *head, *last; unsigned count; };

/* Takes a reference of its own.  False: there are HELD_MAX already, or there is no memory. */
bool	 held_add(struct held_list *, struct publication *) HL_MUST_CHECK;
/* The first one, or NULL; the caller owns the reference. */
struct publication *held_take(struct held_list *);
void	 held_drop(struct held_list *);
/* How many there are up to the last counted one whose seq is not above that: it has been told. */
unsigned held_told(const struct held_list *, int64_t seq);

#endif
