/*
 * search_rank.c - how much of a question a passage covers, and the best passages of those that match.
 */
#include <string.h>

#include "services/search_parts.h"

#define WEIGHT_LITTLE	0.5	/* a question that weighs less counts as this much: one weak word is no question */
#define WEIGHT_ENOUGH	3.0	/* and one that weighs more as this much: a long story is not about each of its words */

/* Among passages that cover much the same: what counts beside, relative to the coverage. */
#define PAIR_SHARE	0.10	/* words that stand side by side in the question do so here */
#define TITLE_SHARE	0.15	/* the question's words are in the title */
#define BM25_SHARE	0.05

/*
 * bm25 with the words' weights as inverse frequencies.  It is computed here, in the same pass over the matching
 * passages, because FTS5's own walks all passages of every word once more and looks up every passage's length.
 * Passages are cut to much the same length, so that b is 0.
 */
#define BM25_K1		1.2
#define BM25_TITLE	4.0	/* a word in the title counts as this many in the text */

static int
count_row(const Fts5ExtensionApi *api, Fts5Context *context, void *arg)
{
	(void)api;
	(void)context;
	++*(int64_t *)arg;
	return SQLITE_OK;
}

/* Numbers that only the index can tell: how many passages have a phrase of several words. */
static void
count_phrases(const Fts5ExtensionApi *api, Fts5Context *context, struct question *q)
{
	for (size_t i = 0; i < q->phrase_count; i++) {
		if (q->phrases[i].passages >= 0)
			continue;
		q->phrases[i].passages = 0;
		if (api->xQueryPhrase(context, (int)i, &q->phrases[i].passages, count_row) != SQLITE_OK)
			q->phrases[i].passages = 1;
	}
	q->counted = true;
}

/* SQL function covered(passages): leaves in s->asked->row what the row has of the question. */
static void
covered(const Fts5ExtensionApi *api, Fts5Context *context, sqlite3_context *result, int argc, sqlite3_value **argv)
{
	struct search *s = api->xUserData(context);
	struct question *q = s->asked;

	(void)result;
	(void)argc;
	(void)argv;
	q->row = (struct covered){ 0 };
	if (api->xPhraseCount(context) != (int)q->phrase_count)
		return;
	if (!q->counted) {
		count_phrases(api, context, q);
		question_weigh(s, q);
	}
	for (size_t i = 0; i < q->phrase_count; i++) {
		Fts5PhraseIter at;
		int column = -1, offset;
		double often = 0;

		if (api->xPhraseFirst(context, (int)i, &at, &column, &offset) != SQLITE_OK || column < 0)
			continue;
		q->row.phrases |= 1u << i;
		q->row.titles |= column == 0 ? 1u << i : 0;
		for (; column >= 0; api->xPhraseNext(context, &at, &column, &offset))
			often += column == 0 ? BM25_TITLE : 1;
		often = often * (BM25_K1 + 1) / (often + BM25_K1);
		if (q->phrases[i].term != NO_TERM)
			q->row.bm25 += q->weight[q->phrases[i].term] * q->phrases[i].credit * often;
	}
}

enum hl_err
rank_register(struct search *s, fts5_api *api)
{
	return index_err(api->xCreateFunction(api, "covered", s, covered, NULL));
}

/* The weighted share of the question's words that are among these phrases. */
static double
coverage(struct question *q, uint32_t phrases)
{
	double have = 0, all = 0;

	memset(q->best, 0, q->term_count * sizeof(q->best[0]));
	for (size_t i = 0; i < q->phrase_count; i++) {
		const struct phrase *p = &q->phrases[i];

		if (p->term != NO_TERM && (phrases & 1u << i) && p->credit > q->best[p->term])
			q->best[p->term] = p->credit;
	}
	for (size_t t = 0; t < q->term_count; t++) {
		have += q->weight[t] * q->best[t];
		all += q->weight[t];
	}
	all = all < WEIGHT_LITTLE ? WEIGHT_LITTLE : all > WEIGHT_ENOUGH ? WEIGHT_ENOUGH : all;
	return have < all ? have / all : 1;
}

static double
pairs_covered(const struct question *q, uint32_t phrases)
{
	size_t n = 0;

	for (size_t i = 0; i < q->phrase_count; i++)
		n += q->phrases[i].term == NO_TERM && (phrases & 1u << i);
	return q->pairs ? (double)n / (double)q->pairs : 0;
}

static struct candidate
judge(struct question *q, sqlite3_int64 rowid)
{
	struct candidate c = { .rowid = rowid, .score = coverage(q, q->row.phrases) };

	c.order = c.score + PAIR_SHARE * pairs_covered(q, q->row.phrases) + BM25_SHARE * q->row.bm25 / (q->row.bm25 + 1);
	if (q->row.titles)
		c.order += TITLE_SHARE * coverage(q, q->row.titles);
	return c;
}

static bool
is_before(const struct candidate *x, const struct candidate *y)
{
	return x->order > y->order || (x->order == y->order && x->rowid < y->rowid);
}

/* Keeps the list in order; what does not fit falls out at its end. */
static void
insert(struct candidate *found, size_t *count, const struct candidate *c)
{
	size_t at = CANDIDATES - 1;

	if (*count < CANDIDATES)
		at = (*count)++;
	else if (!is_before(c, &found[at]))
		return;
	for (; at > 0 && is_before(c, &found[at - 1]); at--)
		found[at] = found[at - 1];
	found[at] = *c;
}

enum hl_err
rank_passages(struct search *s, const char *expression, struct candidate *found, size_t *count)
{
	int rc;

	*count = 0;
	sqlite3_bind_text(s->match, 1, expression, -1, SQLITE_STATIC);
	while ((rc = sqlite3_step(s->match)) == SQLITE_ROW) {
		struct candidate c = judge(s->asked, sqlite3_column_int64(s->match, 0));

		insert(found, count, &c);
	}
	sqlite3_reset(s->match);
	return index_err(rc);
}
