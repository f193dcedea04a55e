/*
 * insight.h - sentiment, intents and confidence by rules, for when the model does not say.  No I/O.
 */
#ifndef HL_INSIGHT_H
#define HL_INSIGHT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/sentiment.h"

enum sentiment sentiment_of(const char *message, size_t len);
bool	 sentiment_parse(const char *text, enum sentiment *);	/* whatever a model printed; false if it is none of them */

/* A bit set; none set means general. */
enum intent {
	INTENT_QUESTION		= 1,	/* how, what, where, when, why, who */
	INTENT_SUPPORT		= 2,	/* help, assist, support */
	INTENT_PURCHASE		= 4,	/* buy, purchase, order, book */
	INTENT_CANCELLATION	= 8	/* cancel, refund, return */
};

unsigned intents_of(const char *message, size_t len);		/* whole words, any case */
/* Names in a fixed order; returns how many there are (one, "general", for an empty set). */
size_t	 intent_names(unsigned set, const char *names[4]);
bool	 intent_parse(const char *text, unsigned *set);		/* adds it; "general" adds nothing; false if unknown */

/* 0…1, from how the answer reads ("I am not sure", "I don't know", an empty answer, …). */
double	 confidence_of(const char *answer, size_t len);

#endif
