#include "base/sentiment.h"

const char *
sentiment_name(enum sentiment s)
{
	static const char *const names[] = { "neutral", "positive", "negative", "urgent", "pending" };

	return names[s];
}

int
sentiment_urgency(enum sentiment s)
{
	return s == SENTIMENT_URGENT ? 2 : s == SENTIMENT_NEGATIVE ? 1 : 0;
}
