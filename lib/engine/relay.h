/*
 * relay.h - a turn that a program asked for in a customer's name (trial_talk()): whose conversation it is here, and what is stored
 * and counted of it.
 *
 * A program that says which conversation it is about, or who speaks, has one here as soon as a person should come: with what was
 * said before, so that he can read it.  From then on, as in a conversation that is there already, each turn is stored in it; one that the
 * program broke off, as somebody interrupted, with the next one, as far as the program then says that it was heard.
 * Any other is only counted in the account's analytics.
 */
#ifndef HL_RELAY_H
#define HL_RELAY_H

#include "engine/answer.h"
#include "engine/trial.h"

struct relay {
	const struct thinker	*thinker;
	const struct agent	*agent;
	const struct talk	*talk;
	const char		*kind, *name;		/* what it is called; NULL: the program does not say */
	bool			 stored;
	char			 id[ID_LEN + 1];	/* then */
	int64_t			 seq;			/* likewise: of its newest message */
	struct ownership	 owner;			/* likewise: when it was looked for */
	char			 escalation_id[ID_LEN + 1];	/* of the one that this turn opened or joined; "": none */
	char			 called[CRYPTO_NAME_LEN + 260];	/* name, if it had to be made */
};

/* All is borrowed.  The conversation is the account's of the agent's owner.  Suspends. */
enum hl_err relay_find(struct relay *, const struct thinker *, const struct agent *, const struct talk *) HL_MUST_CHECK;

/*
 * The answer, delta as in answer_think().  A person who has the conversation is the answer, and no model is asked.  Of a
 * conversation without a name the verdict may be "ai_unavailable"; it is no answer then.  Suspends.
 */
enum hl_err relay_think(struct relay *, enum hl_err (*delta)(void *, const char *, size_t), void *arg, struct verdict *ret)
	    HL_MUST_CHECK;

/*
 * Stores the turn, or counts it; a failure is told to the log alone, for the answer has been said.  answer_id: what it is
 * called then.  once: names the request; the same again is stored once.  answered false: it came to nothing, and only its cost counts.  Suspends.
 */
void	 relay_keep(struct relay *, struct verdict *, const char *answer_id, const char *once, int64_t began_mono_ms, bool answered);

#endif
