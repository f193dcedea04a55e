/*
 * recovery.h - sockets that were cut off, remembered for a while (Socket.IO's connection state recovery).  No I/O.
 *
 * What is kept is what cannot be had elsewhere: ids, the events program's state, the names of rooms and how far the socket
 * came in the one whose messages are counted.  Never the messages: the seq is the truth, and the log replays.  So a socket
 * in two rooms that are counted is not kept, for a client names one offset only; and neither is one whose state is long.
 * Bounded in number: the oldest one goes for a new one.
 */
#ifndef HL_RECOVERY_H
#define HL_RECOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/id.h"
#include "base/socketio.h"
#include "push/deadline.h"

#define RECOVERY_MAX_STATE	4096u	/* bytes */
#define RECOVERY_MAX_ROOMS	8u	/* that are not counted */
#define RECOVERY_OWN		8u

/* What a socket itself has said last: the others hear of it, and it does not, nor when it comes back. */
struct own { int64_t seq[RECOVERY_OWN]; unsigned count; };	/* a ring */

void	 own_add(struct own *, int64_t seq);		/* once, however often it is told */
bool	 own_has(const struct own *, int64_t seq);

struct lost_room { char *name, *alias; };	/* strings or NULL */

struct lost {
	struct lost	*next_in_bucket;
	struct lost	*older, *newer;
	int64_t		 until_ms;
	char		 sid[ID_LEN + 1], pid[ID_LEN + 1];
	char		*nsp, *state;		/* strings; state may be NULL */
	struct lost_room room;			/* whose messages are counted */
	struct lost_room others[RECOVERY_MAX_ROOMS];
	size_t		 other_count;
	int64_t		 last;			/* seq in the room */
	struct own	 own;
	unsigned	 drops;			/* of the recovery's, when it was taken */
	int64_t		 ends_ms;		/* when the token does that it came with; 0: it had none */
};

struct recovery {
	struct lost	**table;
	struct lost	*oldest, *newest;
	size_t		 count, max;
	unsigned	 drops;			/* how often anybody was dropped */
	int64_t		 keep_ms;		/* 0: nothing is kept */
	int64_t		(*now_ms)(void);
	struct deadlines *deadlines;
	struct deadline	 deadline;
};

/* The members max, keep_ms, now_ms and deadlines are set.  It must stay where it is. */
enum hl_err recovery_init(struct recovery *) HL_MUST_CHECK;
void	 recovery_free(struct recovery *);

struct lost *lost_new(const char *sid, const char *pid, struct span nsp);	/* NULL: out of memory */
void	 lost_free(struct lost *);
/* counted: the one whose messages are.  HL_TOO_MANY: there are RECOVERY_MAX_ROOMS, or one that is counted. */
enum hl_err lost_add_room(struct lost *, const char *name, struct span alias, bool counted) HL_MUST_CHECK;

void	 recovery_keep(struct recovery *, struct lost *take_lost);
/* Forgets those that were in a room which is not counted. */
void	 recovery_drop(struct recovery *, const char *room);
/* Gives what is kept under that pid, and forgets it; NULL: nothing is, it is of another namespace, or its token is over. */
struct lost *recovery_take(struct recovery *, struct span pid, struct span nsp);

#endif
