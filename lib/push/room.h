/*
 * room.h - who listens to which Redis channel, and that nobody misses a message of it.
 *
 * Counted publications (seq > 0) reach every member once and in order; a gap, or a subscription that was lost for a
 * while, makes the room ask the events program for the replay and hold back what is live meanwhile.
 *
 * A room whose name begins with ROOM_LOCAL has no channel: it is a list of members that emitters join, leave and emit to.
 * Emitters know other rooms by an alias, which the events program gives: the session's id, which this daemon could not tell
 * from the room's name, a keyed hash whose key it has not.
 */
#ifndef HL_ROOM_H
#define HL_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "push/answer.h"
#include "push/deadline.h"
#include "push/publication.h"
#include "push/relay.h"
#include "push/workers.h"
#include "services/redis.h"

#define ROOM_WAIT_MS		5000	/* for a subscription to be confirmed */
#define ROOM_LOCAL		"emitter:"

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
	bool			 offsets;
	struct room		**table, **aliases;
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
/* What is held behind seq goes out, then what comes.  seq -1: all of it. */
void	 room_go_live(struct member *, int64_t seq);
/* What is not counted and of a lower epoch is dropped from now on, also if it is held. */
void	 room_raise_epoch(struct member *, int64_t epoch);
void	 room_leave(struct member *);			/* frees it */
const char *room_name(const struct member *);

/* What emitters call its room; the first word counts.  Of a local one it is the name behind ROOM_LOCAL. */
void	 room_alias(struct member *, struct span alias);
struct span room_alias_of(const struct member *);
const char *room_tag(const struct member *);		/* what its offsets end with (publication.h) */
/* The rooms that are called so: after is NULL at first, then the last one got.  NULL: no more. */
const struct room *room_called(const struct rooms *, struct span alias, const struct room *after);
const struct member *room_members(const struct room *);

/*
 * Suspends.  What the events program tells of the room after that seq, in answer->messages; the caller frees the reply,
 * of which the answer is made, in any case.
 */
enum hl_err room_ask_replay(struct rooms *, const char *room, int64_t after, struct relay_reply *,
    struct answer *) HL_MUST_CHECK;

#endif
