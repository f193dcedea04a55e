#include <string.h>

#include "base/str.h"
#include "engine/insight.h"
#include "engine/words.h"

static const char *const sentiments[] = { "neutral", "positive", "negative", "urgent" };

enum sentiment
sentiment_of(const char *message, size_t len)
{
	const char *at = message, *end = message + len;
	int score = 0;
	bool urgent = false;
	struct word w;

	while (word_next(&at, end, APOSTROPHE_JOINS, &w)) {
		urgent = urgent || word_in(&w, "urgent urgently emergency asap immediately");
		score += word_in(&w, "thanks thank great good love perfect happy excellent awesome");
		score -= word_in(&w, "bad terrible awful angry broken useless worst hate disappointed");
	}
	return urgent ? SENTIMENT_URGENT : score < 0 ? SENTIMENT_NEGATIVE : score > 0 ? SENTIMENT_POSITIVE : SENTIMENT_NEUTRAL;
}

const char *
sentiment_name(enum sentiment s)
{
	return sentiments[s];
}

bool
sentiment_parse(const char *text, enum sentiment *ret)
{
	for (unsigned i = 0; i < 4; i++)
		if (strcasestr(text, sentiments[i])) {
			*ret = (enum sentiment)i;
			return true;
		}
	return false;
}

static const char *const intents[] = { "question", "support", "purchase", "cancellation" };

unsigned
intents_of(const char *message, size_t len)
{
	static const char *const lists[] = { "how what where when why who", "help assist support", "buy purchase order book",
		"cancel refund return" };
	const char *at = message, *end = message + len;
	unsigned set = 0;
	struct word w;

	while (word_next(&at, end, APOSTROPHE_SPLITS, &w))
		for (unsigned i = 0; i < 4; i++)
			if (word_in(&w, lists[i]))
				set |= 1u << i;
	return set;
}

size_t
intent_names(unsigned set, const char *names[4])
{
	size_t n = 0;

	for (unsigned i = 0; i < 4; i++)
		if (set & 1u << i)
			names[n++] = intents[i];
	if (n == 0)
		names[n++] = "general";
	return n;
}

bool
intent_parse(const char *text, unsigned *set)
{
	for (unsigned i = 0; i < 4; i++)
		if (strcmp(text, intents[i]) == 0) {
			*set |= 1u << i;
			return true;
		}
	return strcmp(text, "general") == 0;
}

double
confidence_of(const char *answer, size_t len)
{
	return str_blank(answer, len) ? 0 : 0.8;
}
