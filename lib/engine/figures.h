/*
 * figures.h - what a turn adds to the analytics (records/analytics.h).  No I/O.
 */
#ifndef HL_FIGURES_H
#define HL_FIGURES_H

#include "engine/answer.h"
#include "records/analytics.h"

/* Of one turn.  A desk conversation's own numbers are counted by the scripts that change it: of one, only answer is set. */
struct turn_figures {
	struct counts	 answer;	/* by the day of the answer */
	struct counts	 session;	/* by the day the session was created */
	int64_t		 created_ms;
};

/* To be taken before the commit: the lease is another one afterwards. */
void	 figures_of_turn(const struct conf *, const struct lease *, const struct verdict *, int64_t now_ms, struct turn_figures *ret);

/*
 * Of a turn that a program asked for (relay.h) in a conversation that is not stored.  ms: how long it took; below 0: it was not
 * answered, and only its cost counts.  customer: there was a message of his; first: the first one.
 */
void	 figures_of_relayed(const struct conf *, const char *agent, const struct verdict *, int64_t ms, bool customer, bool first,
	    struct turn_figures *ret);

/* Of a session of the chat API, when its turn is stored. */
void	 figures_sum(struct sums *, const struct turn_figures *, int64_t now_ms);

#endif
