/*
 * search_question.c - a question's words, and what stands for each of them in the index: the word itself, another word for
 * it, what was probably meant.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/search_parts.h"

#define CORRECTIONS	6	/* unknown words of a question that are looked up with a typing mistake */

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

void
synonyms_load(struct search *s)
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
	for (size_t i = 0; i < s->synonym_count && stem[0] != '\0'; i++) {
		if (s->synonyms[i].stem[0] != stem[0] || strcmp(s->synonyms[i].stem, stem) != 0)
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
void
question_weigh(const struct search *s, struct question *q)
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

void
question_read(struct search *s, const char *text, size_t len, struct question *q)
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
enum hl_err
question_expression(const struct question *q, struct buf *out)
{
	for (size_t i = 0; i < q->phrase_count; i++)
		buf_printf(out, "%s\"%s\"", i ? " OR " : "", q->phrases[i].text);
	return buf_err(out);
}
