/*
 * outcome.h - what a conversation comes to, by its messages: its mood, what it is about, what it is called.  No I/O.
 */
#ifndef HL_OUTCOME_H
#define HL_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/insight.h"
#include "engine/title.h"
#include "records/conversation.h"

/* What was found of one message. */
struct insight { enum sentiment sentiment; unsigned intents; };

/*
 * Of an answer: what its turn found (false: nothing, as of a welcome or what a person wrote).  Of a customer's message: what the answer
 * to it found, or, as long as there is none, the rules.
 */
bool	 insight_of(const struct entries *, size_t index, struct insight *ret);

struct outcome {
	bool		 written;	/* the customer has written something; else the rest is neutral, nothing and a title that says so */
	enum sentiment	 sentiment;	/* the last mood that was shown: after a complaint and a question it is still a complaint */
	unsigned	 intents;	/* of all messages */
	char		 title[TITLE_MAX + 1];
};

/* by_rules: whatever the answers found. */
void	 outcome_of(const struct entries *, bool by_rules, struct outcome *ret);

#endif
