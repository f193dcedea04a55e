/*
 * turn_parts.h - what the files that make up the turn engine share: turn.c, the caller's side, runner.c, who runs the turns of
 * one conversation, engine.c, what keeps, takes over and ends them.  Not for others.
 */
#ifndef HL_TURN_PARTS_H
#define HL_TURN_PARTS_H

#include "engine/answer.h"
#include "engine/share.h"
#include "engine/turn.h"
#include "loop/task.h"
#include "records/holder.h"

#define BUCKETS		4096u
#define HANDED_KEPT	64

struct waiter;

/* A conversation that was handed over: turns of a lower epoch are over. */
struct handed { struct place place; int64_t epoch, at_ms; };	/* clock_mono_ms() */

/* A conversation whose turn this process runs. */
struct runner {
	struct engine	*engine;
	struct runner	*next;		/* in its bucket */
	struct lease	 lease;
	struct task	*task;		/* while it thinks */
	struct waiter	*waiters;
	struct buf	 text;		/* the answer so far, shown or not */
	size_t		 told;		/* bytes of it that the channel has had */
	char		 answer_id[ID_LEN + 1];
	unsigned	 index;		/* of the next delta on the channel */
	bool		 thinking;
	bool		 shown;		/* a delta is out: no starting again */
	bool		 settled;	/* nor for messages that come now: they get the next turn */
	bool		 again;		/* new messages came before that */
	bool		 shared;	/* it holds a place in the engine's shares */
	unsigned	 share;
	bool		 dropped;	/* the conversation has another owner … */
	bool		 lost;		/* … or the turn has another runner */
	bool		 unsure;	/* … which the store could not say: nothing of this turn is shown before it is stored */
	bool		 stale;		/* a message in its context was cut since it was read */
	int64_t		 kept_us;	/* when the lease was last known to be kept, clock_mono_us() */
	bool		 enough;	/* nobody wants more of this answer than there is */
	bool		 worded;	/* its model has begun to write */
	int64_t		 began_us;	/* this turn, clock_mono_us() */
	int64_t		 looked_us;	/* when the store last told whose turn it is and what it is to answer */
	struct speech	*speech;	/* of this turn's answer; NULL: it is not said aloud … */
	bool		 silent;	/* … though it was to be: a limit of a day's spend is reached */
	const struct verdict *verdict;	/* while it thinks */
};

struct engine {
	uv_loop_t	*loop;
	const struct conf *conf;
	struct store	 store;
	char		 holder[HOLDER_MAX];
	struct http	*http;
	struct ear	*ear;
	struct speaker	*speaker;
	struct thinker	 thinker;
	struct runner	*table[BUCKETS];
	size_t		 running;
	struct shares	 shares;	/* of those who wait, in calls and in turns */
	bool		 draining;
	void		(*drained)(void *);
	void		*drained_arg;
	struct task	*maintenance;
	struct redis_sub *handover;
	bool		 heard;		/* its subscription has been ready */
	bool		 unheard;	/* it was lost in between: who has been handed over must be asked */
	struct handed	 handed[HANDED_KEPT];	/* the latest, a ring */
	unsigned	 handed_next;
};

/* Somebody who waits for the answer to one message; lies on his stack. */
struct waiter {
	struct waiter	*next;
	struct task	*task;
	struct runner	*runner;
	int64_t		 seq;
	const struct turn_deltas *deltas;
	size_t		 told;		/* bytes of runner->text */
	int64_t		 attempt;	/* that they were of */
	unsigned	 index;
	bool		 done;		/* answered, or the runner has given up */
	bool		 answered;
	bool		 handed_over;	/* a person has it, or had it */
	bool		 goes_on;	/* the answer begins with what was told */
	struct entry	 answer;	/* then */
};

/* ---- runner.c ---- */

/* Where the conversation's runner is, or would be. */
struct runner **runner_slot(struct engine *, const struct place *);
struct runner *runner_new(struct engine *, struct lease *take_lease);	/* NULL: no memory */
/* Suspends.  One turn after the other until nothing is owed, or another process is to go on.  only_one: returns true if something still is. */
bool	 runner_run(struct runner *, bool only_one);
void	 runner_tell_typing(const struct runner *);	/* to the room; the script that accepts a message tells it of the turn that it begins */
void	 runner_background(struct runner *);	/* likewise, in a task of its own, which ends it */
void	 runner_end(struct runner *);		/* frees it; who waits goes on */
/*
 * Handed over to a person, or lost to another process: its model is not asked on, nothing more of it is told, and who waits for
 * it goes on.
 */
void	 runner_drop(struct runner *, bool handed_over);
void	 runner_enough(struct runner *, const struct turn_deltas *);	/* as turn_enough() */
void	 waiter_add(struct waiter *, struct runner *);

/* ---- engine.c ---- */

void	 engine_maybe_drained(struct engine *);	/* something has come to its end */

#endif
