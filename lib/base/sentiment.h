/*
 * sentiment.h - how a customer feels: what the engine finds and the records keep (as a number).
 */
#ifndef HL_SENTIMENT_H
#define HL_SENTIMENT_H

#include <stdbool.h>

enum sentiment {
	SENTIMENT_NEUTRAL,
	SENTIMENT_POSITIVE,
	SENTIMENT_NEGATIVE,
	SENTIMENT_URGENT,
	SENTIMENT_PENDING	/* nobody has looked yet */
};
#define SENTIMENTS	4	/* of those that are found */

const char *sentiment_name(enum sentiment);	/* "neutral", …, "pending" */
bool	 sentiment_named(const char *, enum sentiment *ret);	/* of those that are found, word for word */
int	 sentiment_urgency(enum sentiment);	/* 2 urgent, 1 negative, 0 the others */

#endif
