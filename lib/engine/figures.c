#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "engine/budget.h"
#include "engine/figures.h"

/* A time as its bucket and as a part of the sum of all, from which comes the average. */
static void
add_time(struct counts *c, const char *agent, char kind, int64_t ms)
{
	char metric[SUMS_METRIC_MAX + 1];

	if (ms < 0)
		ms = 0;			/* the clock was set back */
	snprintf(metric, sizeof(metric), "%c%u", kind, histogram_bucket(ms));
	counts_add(c, agent, metric, 1);
	snprintf(metric, sizeof(metric), "%cms", kind);
	counts_add(c, agent, metric, ms);
}

static void
add_cost(const struct conf *conf, const char *agent, const struct verdict *v, struct counts *c)
{
	counts_add(c, agent, "ti", v->prompt_tokens);
	counts_add(c, agent, "to", v->completion_tokens);
	counts_add(c, agent, "m", budget_money(conf, v->prompt_tokens, v->completion_tokens));
}

void
figures_of_relayed(const struct conf *conf, const char *agent, const struct verdict *v, int64_t ms, bool customer, bool first,
    struct turn_figures *ret)
{
	*ret = (struct turn_figures){ 0 };
	add_cost(conf, agent, v, &ret->answer);
	if (ms < 0)
		return;
	add_time(&ret->answer, agent, 't', ms);
	if (first)
		add_time(&ret->answer, agent, 'f', ms);
	counts_add(&ret->session, agent, "asked", customer);
	counts_add(&ret->session, agent, "volume", first);
}

/* When the oldest of the messages that are answered was accepted; otherwise if there is none. */
static int64_t
asked_at(const struct lease *l, int64_t otherwise)
{
	int64_t ts;

	for (size_t i = 0; i < l->context.count; i++)
		if (answer_covers(l, &l->context.list[i]) && json_view_integer(entry_member(&l->context.list[i], "ts"), &ts))
			return ts;
	return otherwise;
}

/*
 * The answer found whose conversation it is: what it answers was asked of that agent, too.  What was accepted on another day
 * stays where it was counted.
 */
static void
move_questions(const struct lease *l, const char *agent, int64_t asked_ms, int64_t now_ms, struct counts *c)
{
	int64_t n = 0;

	if (asked_ms / CLOCK_DAY_MS != now_ms / CLOCK_DAY_MS)
		return;
	for (size_t i = 0; i < l->context.count; i++)
		n += answer_covers(l, &l->context.list[i]);
	counts_add(c, l->desk.agent, "asked", -n);
	counts_add(c, agent, "asked", n);
}

/* What the turn before found, of what can be seen of it: a session does not keep it. */
static enum sentiment
sentiment_before(const struct lease *l)
{
	enum sentiment found = l->desk.sentiment, one;
	struct buf name = BUF_INIT(32);

	for (size_t i = l->context.count; found == SENTIMENT_PENDING && i-- > 0; buf_reset(&name))
		if (json_view_string(entry_member(&l->context.list[i], "sentiment"), &name) && sentiment_parse(name.data, &one))
			found = one;
	buf_free(&name);
	return found;
}

static void
add_sentiment(struct counts *c, enum sentiment s, int64_t by)
{
	char metric[SUMS_METRIC_MAX + 1];

	if (s >= SENTIMENTS)
		return;
	snprintf(metric, sizeof(metric), "s%d", (int)s);
	counts_add(c, "", metric, by);
}

/* Counted from its first answer on; its mood moves with each.  Where the mood before cannot be seen it stays what it was. */
static void
add_session(const struct lease *l, const struct verdict *v, struct counts *c)
{
	enum sentiment before = sentiment_before(l);

	if (l->before == 0) {
		counts_add(c, "", "volume", 1);
		counts_add(c, "", "completed", 1);
		counts_add(c, "", "resolved", 1);
		add_sentiment(c, v->sentiment, 1);
	} else if (before < SENTIMENTS && v->sentiment < SENTIMENTS && before != v->sentiment) {
		add_sentiment(c, before, -1);
		add_sentiment(c, v->sentiment, 1);
	}
}

void
figures_of_turn(const struct conf *conf, const struct lease *l, const struct verdict *v, int64_t now_ms,
    struct turn_figures *ret)
{
	const char *agent = *v->agent ? v->agent : l->desk.agent;
	int64_t asked = asked_at(l, now_ms);
	struct counts *c = &ret->answer;

	*ret = (struct turn_figures){ .created_ms = l->desk.created_ms };
	if (l->probe)
		return;
	add_time(c, agent, 't', now_ms - asked);
	if (l->before == 0)
		add_time(c, agent, 'f', now_ms - asked);
	add_cost(conf, agent, v, c);
	if (l->desk.desk && strcmp(agent, l->desk.agent) != 0)
		move_questions(l, agent, asked, now_ms, c);
	if (!l->desk.desk)
		add_session(l, v, &ret->session);
}

static void
sum_counts(struct sums *s, int64_t day, const struct counts *c)
{
	for (size_t i = 0; i < c->count; i++)
		sums_add(s, day, c->list[i].field + 2, c->list[i].by);	/* behind "-:" */
}

void
figures_sum(struct sums *s, const struct turn_figures *f, int64_t now_ms)
{
	sum_counts(s, now_ms / CLOCK_DAY_MS, &f->answer);
	sum_counts(s, f->created_ms / CLOCK_DAY_MS, &f->session);
}
