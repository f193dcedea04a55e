#include <string.h>

#include "base/sentiment.h"

const char *
sentiment_name(enum sentiment s)
{
	static const char *const names[] = { "neutral", "positive", "negative", "urgent", "pending" };

	return names[s];
}

bool
sentiment_named(const char *name, enum sentiment *ret)
{
	for (int i = 0; i < SENTIMENTS; i++)
		if (strcmp(name, sentiment_name((enum sentiment)i)) == 0) {
			*ret = (enum sentiment)i;
			return true;
		}
	return false;
}

int
sentiment_urgency(enum sentiment s)
{
	return s == SENTIMENT_URGENT ? 2 : s == SENTIMENT_NEGATIVE ? 1 : 0;
}
