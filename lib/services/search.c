#include <sys/stat.h>

#include <malloc.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/str.h"
#include "services/search.h"
#include "services/search_folder.h"
#include "services/search_index.h"
#include "services/search_vocab.h"
#include "services/search_words.h"

#define PHRASES_MAX	32u	/* in one question, synonyms included; a bit of a mask for each */
#define CORRECTIONS	6	/* unknown words of a question that are looked up with a typing mistake */
#define CANDIDATES	16u	/* best passages that are kept while the matching ones are gone through */
#define SYNONYMS_MAX	256u

/* How much of a word a passage has, when it has … */
#define CREDIT_EXACT	1.0
#define CREDIT_NEAR	0.9	/* … what was probably typed wrong */
#define CREDIT_SYNONYM	0.85	/* … another word for it */
#define CREDIT_PART	0.6	/* … the first part of it */

/*
 * A word weighs what it tells: log(N / passages that have it), 1 for a word in none.  In a small collection every word
 * is in few passages, so N is taken as at least this.
 */
#define SMALLEST_COLLECTION	64.0
#define WEIGHT_LEAST	0.25
#define WEIGHT_UNKNOWN	1.0
#define WEIGHT_WEAK	0.4	/* times the weight, for words of every question */
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

struct synonym {
	const char	*text;		/* points into words_synonyms */
	uint32_t	 len;
	uint32_t	 group;
	char		 stem[24];	/* empty for a phrase */
};

/* What stands for a word of the question in the FTS5 expression. */
struct phrase {
	char		text[WORD_BYTES];
	size_t		term;
	double		credit;
	int64_t		passages;	/* that have it, -1 until counted */
};

#define NO_TERM	WORDS_MAX	/* two neighbouring words: counts for the order only */

struct question {
	struct phrase	phrases[PHRASES_MAX];
	size_t		phrase_count;
	double		weight[WORDS_MAX];	/* of each term */
	bool		weak[WORDS_MAX];
	size_t		pairs;			/* phrases with the term NO_TERM */
	size_t		term_count;
	double		best[WORDS_MAX];	/* for coverage() */
	int		corrections;		/* left */
	bool		counted;
	struct covered {
		uint32_t phrases, titles;	/* a bit for each phrase that the row, and its title, has */
		double	 bm25;
	} row;					/* what the SQL function covered() found */
};

struct candidate {
	sqlite3_int64	rowid;
	double		score, order;
};

struct search {
	char		*folder, *file;		/* file is NULL for an index in memory */
	uv_mutex_t	 lock;			/* over everything below */
	sqlite3		*db;
	dev_t		 dev;			/* of the file that db has open */
	ino_t		 ino;
	sqlite3_stmt	*begin, *end, *state, *match, *fetch, *count;
	fts5_tokenizer	 tokenizer;
	Fts5Tokenizer	*stemmer;
	struct lexicon	*lexicon;
	struct synonym	 synonyms[SYNONYMS_MAX];
	size_t		 synonym_count;
	struct vocab	 vocab;
	sqlite3_int64	 generation;		/* that vocab was read at */
	struct question	*asked;			/* by the query that runs */
	atomic_size_t	 passages;
};

/* --- words and stems --- */

struct stem {
	char	text[WORD_BYTES];
	size_t	len, tokens;
};

static int
take_token(void *arg, int flags, const char *token, int len, int start, int end)
{
	struct stem *stem = arg;

	(void)flags;
	(void)start;
	(void)end;
	if (stem->tokens++ == 0 && (size_t)len < sizeof(stem->text)) {
		memcpy(stem->text, token, (size_t)len);
		stem->text[len] = '\0';
		stem->len = (size_t)len;
	}
	return SQLITE_OK;
}

/* What FTS5 makes of a word.  False: several tokens, or none. */
static bool
stem_of(const struct search *s, const char *word, size_t len, struct stem *ret)
{
	*ret = (struct stem){ .len = 0 };
	if (s->tokenizer.xTokenize(s->stemmer, ret, FTS5_TOKENIZE_QUERY, word, (int)len, take_token) != SQLITE_OK)
		return false;
	return ret->tokens == 1 && ret->len > 0;
}

/* A word with this stem: FTS5 stems what it is asked, and the stem of a stem may be another ("purchas", "purcha"). */
static bool
word_with_stem(const struct search *s, const char *stem, size_t len, char ret_word[WORD_BYTES])
{
	static const char *const endings[] = { "", "e", "s", "y" };
	struct stem again;

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]) && len + 2 < WORD_BYTES; i++) {
		int n = (int)len - (i == 3 && stem[len - 1] == 'i');

		snprintf(ret_word, WORD_BYTES, "%.*s%s", n, stem, endings[i]);
		if (stem_of(s, ret_word, strlen(ret_word), &again) && again.len == len &&
		    memcmp(again.text, stem, len) == 0)
			return true;
	}
	return false;
}

static void
load_synonyms(struct search *s)
{
	for (size_t g = 0; g < words_synonym_groups; g++) {
		for (const char *p = words_synonyms[g]; *p != '\0' && s->synonym_count < SYNONYMS_MAX; p += *p == ' ') {
			struct synonym *y = &s->synonyms[s->synonym_count++];
			struct stem stem;

			*y = (struct synonym){ .text = p, .len = (uint32_t)strcspn(p, " "), .group = (uint32_t)g };
			p += y->len;
			if (memchr(y->text, '_', y->len) == NULL && stem_of(s, y->text, y->len, &stem) &&
			    stem.len < sizeof(y->stem))
				memcpy(y->stem, stem.text, stem.len + 1);
		}
	}
}

/* How many passages have a stem: from memory, or from the index for the words beyond VOCAB_MAX. */
static int64_t
passages_with(struct search *s, const char *stem, size_t len)
{
	int64_t n = vocab_passages(&s->vocab, stem);

	if (n > 0 || !s->vocab.partial)
		return n;
	sqlite3_bind_text(s->count, 1, stem, (int)len, SQLITE_STATIC);
	if (sqlite3_step(s->count) == SQLITE_ROW)
		n = sqlite3_column_int64(s->count, 0);
	sqlite3_reset(s->count);
	return n;
}

/* --- the question --- */

static double
weight_of(const struct search *s, int64_t passages)
{
	double all = (double)atomic_load(&s->passages), w;

	if (passages <= 0)
		return WEIGHT_UNKNOWN;
	if (all < SMALLEST_COLLECTION)
		all = SMALLEST_COLLECTION;
	w = log((all + 1) / ((double)passages + 0.5)) / log((all + 1) / 0.5);
	return w < WEIGHT_LEAST ? WEIGHT_LEAST : w;
}

static void
add_phrase(struct question *q, const char *text, size_t len, double credit, int64_t passages)
{
	struct phrase *p = &q->phrases[q->phrase_count];

	if (q->phrase_count == PHRASES_MAX || len >= sizeof(p->text))
		return;
	memcpy(p->text, text, len);
	p->text[len] = '\0';
	for (size_t i = 0; i < len; i++)
		if (p->text[i] == '_')
			p->text[i] = ' ';
	p->term = credit > 0 ? q->term_count : NO_TERM;
	p->credit = credit;
	p->passages = passages;
	q->phrase_count++;
}

/* Other words for a stem, as far as the index has them.  A phrase is looked for when its first word is there. */
static void
add_synonyms(struct search *s, struct question *q, const char *stem, double credit)
{
	for (size_t i = 0; i < s->synonym_count; i++) {
		if (strcmp(s->synonyms[i].stem, stem) != 0 || stem[0] == '\0')
			continue;
		for (size_t k = 0; k < s->synonym_count; k++) {
			const struct synonym *y = &s->synonyms[k];
			struct stem first;
			int64_t n = -1;

			if (y->group != s->synonyms[i].group || strcmp(y->stem, stem) == 0)
				continue;
			if (y->stem[0] != '\0')
				n = passages_with(s, y->stem, strlen(y->stem));
			else if (!stem_of(s, y->text, strcspn(y->text, "_ "), &first) ||
			    !passages_with(s, first.text, first.len))
				n = 0;
			if (n != 0)
				add_phrase(q, y->text, y->len, credit, n);
		}
	}
}

/* A misspelt word of the index, or a misspelt synonym of one. */
static void
add_nearest(struct search *s, struct question *q, const struct stem *stem)
{
	const char *near = vocab_nearest(&s->vocab, stem->text, stem->len);
	char word[WORD_BYTES];

	if (near != NULL && word_with_stem(s, near, strlen(near), word)) {
		add_phrase(q, word, strlen(word), CREDIT_NEAR, passages_with(s, near, strlen(near)));
		add_synonyms(s, q, near, CREDIT_NEAR * CREDIT_SYNONYM);
		return;
	}
	for (size_t i = 0; i < s->synonym_count && stem->len >= 5; i++) {
		const char *other = s->synonyms[i].stem;

		if (strlen(other) >= 5 && words_near(stem->text, stem->len, other, strlen(other))) {
			add_synonyms(s, q, other, CREDIT_NEAR * CREDIT_SYNONYM);
			return;
		}
	}
}

static void
add_part(struct search *s, struct question *q, const struct stem *stem)
{
	const char *part = vocab_compound(&s->vocab, stem->text, stem->len);
	char word[WORD_BYTES];

	if (part != NULL && word_with_stem(s, part, strlen(part), word))
		add_phrase(q, word, strlen(word), CREDIT_PART, passages_with(s, part, strlen(part)));
}

/* One word of the question and what is known about it. */
struct lookup {
	struct word	word;
	struct stem	stem;
	bool		single;		/* one token of the index, else a phrase */
	bool		exact;		/* the index has it as it was written */
	int64_t		passages;
};

/* Finds what stands for one word; false if the word is to be ignored. */
static bool
add_word(struct search *s, struct question *q, const struct lookup *l)
{
	const char *text = l->word.text;
	size_t before = q->phrase_count;

	if (!l->single) {
		if (l->stem.tokens > 0)
			add_phrase(q, text, strlen(text), CREDIT_EXACT, -1);
		return l->stem.tokens > 0;
	}
	if (l->exact)
		add_phrase(q, text, strlen(text), CREDIT_EXACT, l->passages);
	add_synonyms(s, q, l->stem.text, CREDIT_SYNONYM);
	if (l->exact || q->phrase_count > before)
		return true;
	if (words_stop_misspelt(text))
		return false;
	if (q->corrections-- > 0) {
		add_nearest(s, q, &l->stem);
		if (q->phrase_count == before)
			add_part(s, q, &l->stem);
	}
	return true;
}

/* A word weighs what its most telling reading weighs that is not a guess: the word itself, else the commonest other. */
static void
weigh(const struct search *s, struct question *q)
{
	int64_t most[WORDS_MAX] = { 0 };
	bool exact[WORDS_MAX] = { false };

	for (size_t i = 0; i < q->phrase_count; i++) {
		const struct phrase *p = &q->phrases[i];

		if (p->term == NO_TERM || exact[p->term])
			continue;
		exact[p->term] = p->credit >= CREDIT_EXACT && p->passages > 0;
		if (p->passages > most[p->term] || exact[p->term])
			most[p->term] = p->passages;
	}
	for (size_t t = 0; t < q->term_count; t++)
		q->weight[t] = weight_of(s, most[t]) * (q->weak[t] ? WEIGHT_WEAK : 1);
}

static void
add_pair(struct question *q, const char *first, const char *second)
{
	char pair[2 * WORD_BYTES];
	size_t before = q->phrase_count;

	snprintf(pair, sizeof(pair), "%.*s %.*s", (int)WORD_BYTES - 1, first, (int)WORD_BYTES - 1, second);
	add_phrase(q, pair, strlen(pair), 0, 0);
	q->pairs += q->phrase_count - before;
}

/* Rare words first, for there is room for some only; those that the index does not have come last. */
static int
by_rarity(const void *a, const void *b)
{
	const struct lookup *x = *(const struct lookup *const *)a, *y = *(const struct lookup *const *)b;

	if ((x->passages == 0) != (y->passages == 0))
		return x->passages == 0 ? 1 : -1;
	if (x->passages != y->passages)
		return x->passages < y->passages ? -1 : 1;
	return x < y ? -1 : 1;
}

static size_t
look_up(struct search *s, const char *text, size_t len, struct lookup *ret)
{
	struct word words[WORDS_MAX];
	size_t n = words_of(s->lexicon, text, len, words, WORDS_MAX);

	for (size_t i = 0; i < n; i++) {
		struct lookup *l = &ret[i];

		l->word = words[i];
		l->single = stem_of(s, l->word.text, strlen(l->word.text), &l->stem);
		l->passages = l->single ? passages_with(s, l->stem.text, l->stem.len) : 0;
		l->exact = l->passages > 0;
	}
	return n;
}

/* An order number or an amount is hardly ever what a question is about; the name of a model ("E14") can be. */
static bool
is_number(const struct lookup *l)
{
	const char *text = l->word.text;

	return text[strspn(text, "0123456789")] == '\0' || (!l->exact && strpbrk(text, "0123456789") != NULL);
}

static void
read_question(struct search *s, const char *text, size_t len, struct question *q)
{
	struct lookup lookups[WORDS_MAX], *rarest[WORDS_MAX];
	size_t n = look_up(s, text, len, lookups);

	q->phrase_count = q->term_count = q->pairs = 0;
	q->corrections = CORRECTIONS;
	q->counted = false;
	for (size_t i = 0; i < n; i++)
		rarest[i] = &lookups[i];
	qsort(rarest, n, sizeof(rarest[0]), by_rarity);
	for (size_t i = 0; i < n; i++)
		if (add_word(s, q, rarest[i]))
			q->weak[q->term_count++] = rarest[i]->word.weak || is_number(rarest[i]);
	for (size_t i = 1; i < n; i++)
		if (lookups[i].word.follows && lookups[i].exact && lookups[i - 1].exact)
			add_pair(q, lookups[i - 1].word.text, lookups[i].word.text);
}

/* Every phrase in quotes, which is all the syntax that a customer's words get: they are letters and digits only. */
static enum hl_err
write_expression(const struct question *q, struct buf *out)
{
	for (size_t i = 0; i < q->phrase_count; i++)
		buf_printf(out, "%s\"%s\"", i ? " OR " : "", q->phrases[i].text);
	return buf_err(out);
}

/* --- the query --- */

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
		weigh(s, q);
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

static enum hl_err
collect_candidates(struct search *s, const char *expression, struct candidate *found, size_t *count)
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

static char *
column_copy(sqlite3_stmt *stmt, int column)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);

	return text ? strdup((const char *)text) : NULL;
}

static enum hl_err
fetch(struct search *s, const struct candidate *found, struct search_hit *ret)
{
	enum hl_err err = HL_OK;
	int rc;

	sqlite3_bind_int64(s->fetch, 1, found->rowid);
	sqlite3_bind_int64(s->fetch, 2, found->rowid >> INDEX_FILE_SHIFT);
	rc = sqlite3_step(s->fetch);
	if (rc == SQLITE_ROW) {
		*ret = (struct search_hit){ .source = column_copy(s->fetch, 0), .title = column_copy(s->fetch, 1),
		    .text = column_copy(s->fetch, 2), .score = found->score };
		if (ret->source == NULL || ret->title == NULL || ret->text == NULL) {
			search_hits_free(ret, 1);
			err = HL_NO_MEMORY;
		}
	} else {
		err = rc == SQLITE_DONE ? HL_CONFLICT : index_err(rc);	/* the index names a row that is not there */
	}
	sqlite3_reset(s->fetch);
	return err;
}

static enum hl_err
step_once(sqlite3_stmt *stmt)
{
	int rc = sqlite3_step(stmt);

	sqlite3_reset(stmt);
	return index_err(rc);
}

static enum hl_err
load_vocab(struct search *s)
{
	sqlite3_stmt *stmt = NULL;
	enum hl_err err = index_prepare(s->db, "SELECT term, doc FROM temp.vocab", &stmt);
	int rc = SQLITE_DONE;

	vocab_free(&s->vocab);
	while (err == HL_OK && !s->vocab.partial && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const char *term = (const char *)sqlite3_column_text(stmt, 0);

		if (term == NULL)
			err = HL_NO_MEMORY;
		else
			err = vocab_add(&s->vocab, term, (size_t)sqlite3_column_bytes(stmt, 0),
			    (uint32_t)sqlite3_column_int64(stmt, 1));
	}
	if (err == HL_OK)
		err = index_err(rc);
	sqlite3_finalize(stmt);
	return err;
}

/* Inside a transaction: what is kept in memory is of the same moment as the index. */
static enum hl_err
sync_state(struct search *s)
{
	enum hl_err err = index_err(sqlite3_step(s->state));
	sqlite3_int64 generation = sqlite3_column_int64(s->state, 0);
	size_t passages = (size_t)sqlite3_column_int64(s->state, 1);

	sqlite3_reset(s->state);
	if (err || generation == s->generation)
		return err;
	err = load_vocab(s);
	if (err == HL_OK) {
		s->generation = generation;
		atomic_store(&s->passages, passages);
	}
	return err;
}

static enum hl_err
query_inside(struct search *s, const char *text, size_t len, size_t max, struct search_hit *ret_hits, size_t *count)
{
	struct candidate found[CANDIDATES];
	struct buf expression = BUF_INIT(PHRASES_MAX * (WORD_BYTES + 8));
	size_t n = 0;
	enum hl_err err = sync_state(s);

	if (err)
		goto out;
	read_question(s, text, len, s->asked);
	if (s->asked->phrase_count == 0)
		goto out;
	err = write_expression(s->asked, &expression);
	if (err == HL_OK)
		err = collect_candidates(s, expression.data, found, &n);
	if (err)
		goto out;
	for (; *count < max && *count < n && err == HL_OK; *count += err == HL_OK)
		err = fetch(s, &found[*count], &ret_hits[*count]);
out:
	buf_free(&expression);
	return err;
}

static enum hl_err
query_once(struct search *s, const char *text, size_t len, size_t max, struct search_hit *ret_hits, size_t *count)
{
	enum hl_err err = step_once(s->begin), ended;

	if (err)
		return err;
	err = query_inside(s, text, len, max, ret_hits, count);
	ended = step_once(s->end);
	if (err) {
		search_hits_free(ret_hits, *count);
		*count = 0;
	}
	return err ? err : ended;
}

/* --- opening, closing, recovering --- */

static void
close_db(struct search *s)
{
	sqlite3_stmt **stmts[] = { &s->begin, &s->end, &s->state, &s->match, &s->fetch, &s->count };

	for (size_t i = 0; i < sizeof(stmts) / sizeof(stmts[0]); i++) {
		sqlite3_finalize(*stmts[i]);
		*stmts[i] = NULL;
	}
	if (s->stemmer != NULL)
		s->tokenizer.xDelete(s->stemmer);
	s->stemmer = NULL;
	vocab_free(&s->vocab);
	s->generation = -1;
	s->synonym_count = 0;
	sqlite3_close(s->db);
	s->db = NULL;
}

static fts5_api *
fts5_of(sqlite3 *db)
{
	fts5_api *api = NULL;
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &stmt, NULL) == SQLITE_OK) {
		sqlite3_bind_pointer(stmt, 1, &api, "fts5_api_ptr", NULL);
		sqlite3_step(stmt);
	}
	sqlite3_finalize(stmt);
	return api;
}

static enum hl_err
prepare_fts5(struct search *s)
{
	const char *arguments[] = { "unicode61", "remove_diacritics", "2" };	/* INDEX_TOKENIZER */
	fts5_api *api = fts5_of(s->db);
	void *data;
	int rc;

	if (api == NULL)
		return HL_STORE;	/* a SQLite built without FTS5 */
	rc = api->xCreateFunction(api, "covered", s, covered, NULL);
	if (rc == SQLITE_OK)
		rc = api->xFindTokenizer(api, "porter", &data, &s->tokenizer);
	if (rc == SQLITE_OK)
		rc = s->tokenizer.xCreate(data, arguments, 3, &s->stemmer);
	if (rc == SQLITE_OK)
		load_synonyms(s);
	return index_err(rc);
}

static enum hl_err
prepare_statements(struct search *s)
{
	static const char *const sql[] = {
		"BEGIN",
		"COMMIT",
		"SELECT generation, passages, signature FROM state",
		"SELECT rowid, covered(passages) FROM passages WHERE passages MATCH ?1",
		"SELECT (SELECT path FROM files WHERE id=?2), title, body FROM passages WHERE rowid=?1",
		"SELECT doc FROM temp.vocab WHERE term=?1",
	};
	sqlite3_stmt **stmts[] = { &s->begin, &s->end, &s->state, &s->match, &s->fetch, &s->count };
	enum hl_err err = index_exec(s->db, "CREATE VIRTUAL TABLE temp.vocab USING fts5vocab(main, passages, row)");

	for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]) && err == HL_OK; i++)
		err = index_prepare(s->db, sql[i], stmts[i]);
	return err;
}

static enum hl_err
open_db(struct search *s, struct buf *problem)
{
	struct stat st;
	enum hl_err err = index_open(s->file, &s->db, problem);

	if (s->file != NULL && stat(s->file, &st) == 0) {
		s->dev = st.st_dev;
		s->ino = st.st_ino;
	}
	if (err == HL_OK)
		err = prepare_fts5(s);
	if (err == HL_OK)
		err = prepare_statements(s);
	if (err && problem->len == 0)
		buf_printf(problem, "The search index cannot be used: %s", s->db ? sqlite3_errmsg(s->db) : err_text(err));
	if (err)
		close_db(s);
	return err;
}

/* Opens the index; one that is damaged or of another version is put aside first. */
static enum hl_err
open_or_rebuild(struct search *s, struct buf *problem)
{
	enum hl_err err = open_db(s, problem);

	if (err != HL_CONFLICT || s->file == NULL)
		return err;
	err = index_discard(s->file, s->dev, s->ino);
	if (err)
		return err;
	buf_reset(problem);
	return open_db(s, problem);
}

/* Another process may have put the file aside: then ours has no name any more, and is behind. */
static bool
was_replaced(const struct search *s)
{
	struct stat st;

	return s->file != NULL && (stat(s->file, &st) != 0 || st.st_dev != s->dev || st.st_ino != s->ino);
}

static enum hl_err
reopen(struct search *s)
{
	struct buf problem = BUF_INIT(INDEX_PROBLEM);
	enum hl_err err;

	close_db(s);
	err = open_or_rebuild(s, &problem);
	buf_free(&problem);
	return err;
}

/* Writes with a connection of its own, so that queries go on meanwhile; an index in memory has only one. */
static enum hl_err
update(struct search *s)
{
	struct buf problem = BUF_INIT(INDEX_PROBLEM);
	sqlite3 *writer = NULL;
	enum hl_err err;

	if (s->file == NULL)
		return index_update(s->db, s->folder);
	uv_mutex_unlock(&s->lock);
	err = index_open(s->file, &writer, &problem);
	if (err == HL_OK)
		err = index_update(writer, s->folder);
	sqlite3_close(writer);
	buf_free(&problem);
	malloc_trim(0);		/* a megabyte or two that is not needed again until the next change */
	uv_mutex_lock(&s->lock);
	return err;
}

/* Whether the index is as the folder is. */
static enum hl_err
is_current(struct search *s, bool *ret)
{
	struct folder folder;
	enum hl_err err = folder_scan(s->folder, &folder);

	*ret = false;
	if (err == HL_OK) {
		err = index_err(sqlite3_step(s->state));
		*ret = sqlite3_column_int64(s->state, 2) == folder.signature;
		sqlite3_reset(s->state);
	}
	folder_free(&folder);
	return err;
}

static enum hl_err
refresh_once(struct search *s)
{
	bool current;
	enum hl_err err = HL_OK, ended;

	if (s->db == NULL || was_replaced(s))
		err = reopen(s);
	if (err == HL_OK)
		err = is_current(s, &current);
	if (err == HL_OK && !current)
		err = update(s);
	if (err == HL_OK && s->db != NULL)
		err = step_once(s->begin);
	if (err || s->db == NULL)
		return err;
	err = sync_state(s);
	ended = step_once(s->end);
	return err ? err : ended;
}

/* After HL_CONFLICT: a new file, filled from the folder. */
static enum hl_err
rebuild(struct search *s)
{
	enum hl_err err;

	close_db(s);
	if (s->file != NULL && !was_replaced(s)) {
		err = index_discard(s->file, s->dev, s->ino);
		if (err)
			return err;
	}
	err = refresh_once(s);
	return err == HL_CONFLICT ? HL_STORE : err;
}

enum hl_err
search_refresh(struct search *s)
{
	enum hl_err err;

	uv_mutex_lock(&s->lock);
	err = refresh_once(s);
	if (err == HL_CONFLICT)
		err = rebuild(s);
	uv_mutex_unlock(&s->lock);
	return err;
}

enum hl_err
search_query(struct search *s, const char *question, size_t len, size_t max, struct search_hit *ret_hits, size_t *count)
{
	enum hl_err err = HL_OK;

	*count = 0;
	if (!utf8_valid(question, len))
		return HL_OK;
	uv_mutex_lock(&s->lock);
	if (s->db == NULL)
		err = refresh_once(s);
	if (err == HL_OK)
		err = query_once(s, question, len, max, ret_hits, count);
	if (err == HL_CONFLICT) {
		err = rebuild(s);
		if (err == HL_OK)
			err = query_once(s, question, len, max, ret_hits, count);
	}
	uv_mutex_unlock(&s->lock);
	return err;
}

static enum hl_err
allocate(const char *folder, const char *file, struct search **ret)
{
	struct search *s = calloc(1, sizeof(*s));

	*ret = NULL;
	if (s == NULL)
		return HL_NO_MEMORY;
	if (uv_mutex_init(&s->lock) != 0) {
		free(s);
		return HL_NO_MEMORY;
	}
	s->vocab = VOCAB_INIT;
	s->generation = -1;
	s->folder = strdup(folder);
	s->file = file && *file ? strdup(file) : NULL;
	s->asked = calloc(1, sizeof(*s->asked));
	*ret = s;
	if (s->folder == NULL || s->asked == NULL || (file && *file && s->file == NULL))
		return HL_NO_MEMORY;
	return lexicon_new(&s->lexicon);
}

enum hl_err
search_open(const char *folder, const char *index_file, struct search **ret, struct buf *problem)
{
	struct search *s;
	enum hl_err err = allocate(folder, index_file, &s);

	*ret = NULL;
	if (err == HL_OK)
		err = open_or_rebuild(s, problem);
	if (err == HL_OK) {
		err = search_refresh(s);
		if (err == HL_NOT_FOUND)
			buf_printf(problem, "The knowledge folder \"%s\" (KNOWLEDGE_PATH) does not exist or cannot be read",
			    folder);
	}
	if (err && problem->len == 0)
		buf_printf(problem, "The knowledge in \"%s\" cannot be indexed: %s", folder, err_text(err));
	if (err) {
		search_close(s);
		return err;
	}
	*ret = s;
	return HL_OK;
}

void
search_close(struct search *s)
{
	if (s == NULL)
		return;
	close_db(s);
	uv_mutex_destroy(&s->lock);
	lexicon_free(s->lexicon);
	free(s->asked);
	free(s->folder);
	free(s->file);
	free(s);
}

void
search_hits_free(struct search_hit *hits, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(hits[i].source);
		free(hits[i].title);
		free(hits[i].text);
		hits[i] = (struct search_hit){ 0 };
	}
}

size_t
search_passages(const struct search *s)
{
	return atomic_load(&s->passages);
}

static size_t
count_files(struct search *s, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	size_t n = 0;

	if (s->db != NULL && index_prepare(s->db, sql, &stmt) == HL_OK && sqlite3_step(stmt) == SQLITE_ROW)
		n = (size_t)sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return n;
}

void
search_counts(struct search *s, struct search_counts *ret)
{
	uv_mutex_lock(&s->lock);
	ret->files = count_files(s, "SELECT count(*) FROM files WHERE state < 2");
	ret->repaired = count_files(s, "SELECT count(*) FROM files WHERE state = 1");
	ret->skipped = count_files(s, "SELECT count(*) FROM files WHERE state = 2");
	uv_mutex_unlock(&s->lock);
}

enum small_talk
search_small_talk(const struct search *s, const char *text, size_t len)
{
	return utf8_valid(text, len) ? words_small_talk(s->lexicon, text, len) : TALK_NONE;
}
