#include <string.h>

#include "engine/outcome.h"

#define WORDS_LOOKED_AT	2048	/* bytes of what the customer wrote, for the title */

/* What is stored with an answer. */
static bool
stored_insight(const struct entry *e, struct insight *ret)
{
	struct json_view list = entry_member(e, "intents"), item = { 0 };
	char text[32];
	size_t len;
	const char *plain = json_view_plain(entry_member(e, "sentiment"), &len);

	*ret = (struct insight){ 0 };
	if (plain == NULL || len >= sizeof(text))
		return false;
	memcpy(text, plain, len);
	text[len] = '\0';
	if (!sentiment_parse(text, &ret->sentiment))
		return false;
	while (json_view_next(list, &item)) {
		plain = json_view_plain(item, &len);
		if (plain == NULL || len >= sizeof(text))
			continue;
		memcpy(text, plain, len);
		text[len] = '\0';
		(void)intent_parse(text, &ret->intents);
	}
	return true;
}

static void
rules_insight(const struct entry *e, struct insight *ret)
{
	size_t len;
	const char *text = entry_content(e, &len);

	*ret = (struct insight){ .sentiment = sentiment_of(text, len), .intents = intents_of(text, len) };
}

/* What the turn found that answered a customer's message; nothing where a person did. */
static bool
found_by(const struct entries *es, size_t index, struct insight *ret)
{
	int64_t covered;

	for (size_t i = index + 1; i < es->count; i++) {
		const struct entry *e = &es->list[i];

		if (!e->user && (!json_view_integer(entry_member(e, "for"), &covered) || covered >= es->list[index].seq))
			return stored_insight(e, ret);
	}
	return false;
}

bool
insight_of(const struct entries *es, size_t index, struct insight *ret)
{
	if (!es->list[index].user)
		return stored_insight(&es->list[index], ret);
	if (!found_by(es, index, ret))
		rules_insight(&es->list[index], ret);
	return true;
}

static void
add_words(struct buf *words, const struct entry *e)
{
	size_t len;
	const char *text = entry_content(e, &len);

	if (words->len >= WORDS_LOOKED_AT)
		return;
	if (words->len)
		buf_puts(words, ".\n");
	buf_add(words, text, len);
}

void
outcome_of(const struct entries *es, bool by_rules, struct outcome *ret)
{
	struct buf words = BUF_INIT(1u << 20);
	struct insight found;

	*ret = (struct outcome){ .sentiment = SENTIMENT_NEUTRAL };
	for (size_t i = 0; i < es->count; i++) {
		if (!es->list[i].user)
			continue;
		ret->written = true;
		if (by_rules)
			rules_insight(&es->list[i], &found);
		else
			(void)insight_of(es, i, &found);
		if (found.sentiment != SENTIMENT_NEUTRAL)
			ret->sentiment = found.sentiment;
		ret->intents |= found.intents;
		add_words(&words, &es->list[i]);
	}
	title_of(words.data ? words.data : "", words.len, ret->title);
	buf_free(&words);
}
