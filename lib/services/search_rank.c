/*
 * search_rank.c - how much of a question a passage covers, and the best passages of those that match.
 */
#include <stdio.h>
#include <string.h>

#include "services/search_parts.h"

/* Among passages that cover much the same: what counts beside, relative to the coverage. */
#define PAIR_SHARE	0.10	/* words that stand side by side in the question do so here */
#define TITLE_SHARE	0.15	/* the question's words are in the title */
#define BM25_SHARE	0.05

/*
 * bm25 with the words' weights as inverse frequencies.  It is computed here, from where the words are, because FTS5's own
 * walks all passages of every word for every question.  Passages are cut to much the same length, so that b is 0.
 */
#define BM25_K1		1.2
#define BM25_TITLE	4.0	/* a word in the title counts as this many in the text */

/* SQL function posted(passages): adds to s->filling where the row has the one phrase that is looked for. */
static void
posted(const Fts5ExtensionApi *api, Fts5Context *context, sqlite3_context *result, int argc, sqlite3_value **argv)
{
	struct search *s = api->xUserData(context);
	Fts5PhraseIter at;
	int column = -1, offset, rc = api->xPhraseFirst(context, 0, &at, &column, &offset);

	(void)argc;
	(void)argv;
	for (; rc == SQLITE_OK && column >= 0; api->xPhraseNext(context, &at, &column, &offset))
		if (posting_add(s->filling, api->xRowid(context), SPOT(column, offset)) != HL_OK)
			rc = SQLITE_NOMEM;
	if (rc != SQLITE_OK)
		sqlite3_result_error_code(result, rc);
}

enum hl_err
rank_register(struct search *s, fts5_api *api)
{
	return index_err(api->xCreateFunction(api, "posted", s, posted, NULL));
}

/* In quotes, which is all the syntax that a customer's words get: they are letters and digits only. */
const struct posting *
rank_posting(struct search *s, const char *phrase, bool keep_nothing, enum hl_err *ret_err)
{
	static const struct posting nothing;
	char expression[WORD_BYTES + 2];
	int rc;

	*ret_err = posting_new(phrase, &s->filling);
	if (*ret_err)
		return NULL;
	snprintf(expression, sizeof(expression), "\"%s\"", phrase);
	sqlite3_bind_text(s->match, 1, expression, -1, SQLITE_STATIC);
	while ((rc = sqlite3_step(s->match)) == SQLITE_ROW)
		;
	sqlite3_reset(s->match);
	*ret_err = index_err(rc);
	if (*ret_err || (s->filling->count == 0 && !keep_nothing)) {
		posting_free(s->filling);
		return *ret_err ? NULL : &nothing;
	}
	memory_keep_posting(&s->memory, s->filling);
	return s->filling;
}

/* What a passage has of the question. */
struct covered {
	sqlite3_int64	rowid;
	uint32_t	phrases, titles;	/* a bit for each phrase that the passage, and its title, has */
	double		bm25;
};

static bool
side_by_side(const struct posting *a, const struct posted *x, const struct posting *b, const struct posted *y)
{
	const uint32_t *p = a->spots + x->first, *q = b->spots + y->first;
	const uint32_t *p_end = p + x->count, *q_end = q + y->count;

	while (p < p_end && q < q_end) {
		if (*p + 1 == *q)
			return true;
		if (*p + 1 < *q)
			p++;
		else
			q++;
	}
	return false;
}

static void
cover(const struct question *q, size_t i, const struct posted *row, struct covered *c)
{
	const struct phrase *p = &q->phrases[i];
	const uint32_t *spots = p->posting->spots + row->first;
	double often = 0;

	c->phrases |= 1u << i;
	if (SPOT_COLUMN(spots[0]) == 0)
		c->titles |= 1u << i;
	for (uint32_t k = 0; k < row->count; k++)
		often += SPOT_COLUMN(spots[k]) == 0 ? BM25_TITLE : 1;
	often = often * (BM25_K1 + 1) / (often + BM25_K1);
	c->bm25 += q->weight[p->term] * p->credit * often;
}

/* Where the reading of the phrases' postings has come to.  Pairs, which have none, are the last of a question's phrases. */
struct reader {
	const struct posted *at[PHRASES_MAX], *end[PHRASES_MAX];
	sqlite3_int64	next[PHRASES_MAX];	/* rowid, or NO_ROW */
	size_t		count;
};

#define NO_ROW	INT64_MAX

static void
reader_begin(struct reader *r, const struct question *q)
{
	r->count = q->phrase_count - q->pairs;
	for (size_t i = 0; i < r->count; i++) {
		const struct posting *p = q->phrases[i].posting;

		r->at[i] = p->rows;
		r->end[i] = p->count ? p->rows + p->count : NULL;
		r->next[i] = p->count ? p->rows[0].rowid : NO_ROW;
	}
}

/* The next passage that has a phrase.  False: there is none. */
static bool
reader_next(struct reader *r, const struct question *q, struct covered *ret)
{
	const struct posted *here[PHRASES_MAX] = { NULL };
	sqlite3_int64 rowid = NO_ROW;

	for (size_t i = 0; i < r->count; i++)
		if (r->next[i] < rowid)
			rowid = r->next[i];
	*ret = (struct covered){ .rowid = rowid };
	for (size_t i = 0; i < r->count && rowid != NO_ROW; i++) {
		if (r->next[i] != rowid)
			continue;
		here[i] = r->at[i]++;
		r->next[i] = r->at[i] < r->end[i] ? r->at[i]->rowid : NO_ROW;
		cover(q, i, here[i], ret);
	}
	for (size_t i = r->count; i < q->phrase_count; i++) {
		const struct phrase *p = &q->phrases[i];

		if (here[p->first] && here[p->second] && side_by_side(q->phrases[p->first].posting, here[p->first],
		    q->phrases[p->second].posting, here[p->second]))
			ret->phrases |= 1u << i;
	}
	return rowid != NO_ROW;
}

/* The weighted share of the question's words that are among these phrases. */
static double
coverage(struct question *q, uint32_t phrases)
{
	double have = 0;

	memset(q->best, 0, q->term_count * sizeof(q->best[0]));
	for (; phrases; phrases &= phrases - 1) {
		const struct phrase *p = &q->phrases[__builtin_ctz(phrases)];

		if (p->term != NO_TERM && p->credit > q->best[p->term])
			q->best[p->term] = p->credit;
	}
	for (size_t t = 0; t < q->term_count; t++)
		have += q->weight[t] * q->best[t];
	return have < q->all ? have / q->all : 1;
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
judge(struct question *q, const struct covered *has)
{
	struct candidate c = { .rowid = has->rowid, .score = coverage(q, has->phrases) };

	c.order = c.score + PAIR_SHARE * pairs_covered(q, has->phrases) + BM25_SHARE * has->bm25 / (has->bm25 + 1);
	if (has->titles)
		c.order += TITLE_SHARE * coverage(q, has->titles);
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

void
rank_passages(struct question *q, struct candidate *found, size_t *count)
{
	struct reader reader;
	struct covered has;

	*count = 0;
	reader_begin(&reader, q);
	while (reader_next(&reader, q, &has)) {
		struct candidate c = judge(q, &has);

		insert(found, count, &c);
	}
}
