/*
 * room.h - who listens to which Redis channel, and that nobody misses a message of it.
 *
 * A publication is "<seq> <epoch> <except>" and then one JSON array a line, each an event.  Counted
 * publications (seq > 0) reach every member once and in order; a gap, or a subscription that was lost for a
 * while, makes the room ask the events program for the replay and hold back what is live meanwhile.
 */
#ifndef HL_ROOM_H
#define HL_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/id.h"
#include "push/deadline.h"
#include "push/message.h"
#include "push/relay.h"
#include "push/workers.h"
#include "services/redis.h"

#define ROOM_WAIT_MS		5000	/* for a subscription to be confirmed */
#define ROOM_MAX_HELD		256	/* publications */
#define PUBLICATION_MAX_EVENTS	64

/* Events for all members of a room, ready to be sent on the namespace "/". */
struct publication {
	unsigned	 refs, count;
	int64_t		 seq;			/* 0: not counted */
	int64_t		 epoch;
	char		 except[ID_LEN + 1];	/* the socket that does not get it; "" for none */
	struct message	*messages[];		/* "42[…]" each */
};

/* HL_BAD_REQUEST: not a publication. */
enum hl_err publication_parse(const char *payload, size_t len, struct publication **ret) HL_MUST_CHECK;
void	 publication_unref(struct publication *);

struct held_list { struct held *head, *last; unsigned count; };

struct room;

/* A socket's place in a room. */
struct member {
	struct room	*room;
	struct member	*next, **link;		/* in the room */
	struct member	*next_of_owner;
	void		*owner;
	/* seq of the last counted publication; -1: begins with the next one */
	int64_t		 last;
	bool		 live;
	bool		 missed;		/* the subscription was lost while it was not live yet */
	struct held_list held;			/* until it is live */
};

struct rooms {
	struct redis		*redis;
	struct relay		*relay;
	struct workers		*replays;
	struct deadlines	*deadlines;
	void			(*deliver)(void *owner, struct publication *);
	struct room		**table;
	size_t			 buckets, count;
};

enum hl_err rooms_init(struct rooms *) HL_MUST_CHECK;	/* the members above table are set */
void	 rooms_free(struct rooms *);

/* Becomes a member that is not live: publications are held back for it. */
enum hl_err room_join(struct rooms *, const char *name, void *owner, struct member **ret) HL_MUST_CHECK;
/* Suspends until the subscription is confirmed.  HL_STORE: it was not, within ROOM_WAIT_MS. */
enum hl_err room_wait(struct member *) HL_MUST_CHECK;
/* Holds publications back again, for a member that asks anew. */
void	 room_hold(struct member *);
/* What is held and newer than seq goes out, then what comes.  seq -1: all of it. */
void	 room_go_live(struct member *, int64_t seq);
void	 room_leave(struct member *);			/* frees it */
const char *room_name(const struct member *);

#endif
