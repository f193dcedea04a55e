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
#define WEIGHT_LITTLE	0.5	/* a question that weighs less counts as this much: one weak word is no question */
#define WEIGHT_ENOUGH	3.0	/* and one that weighs more as this much: a long story is not about each of its words */

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
	int rc;

	if (n > 0 || !s->vocab.partial)
		return n;
	sqlite3_bind_text(s->count, 1, stem, (int)len, SQLITE_STATIC);
	rc = sqlite3_step(s->count);
	if (rc == SQLITE_ROW)
		n = sqlite3_column_int64(s->count, 0);
	else if (index_err(rc))
		s->asked->err = index_err(rc);
	sqlite3_reset(s->count);
	return n;
}

/* --- what stands for a word --- */

struct readings {
	struct reading	list[PHRASES_MAX];
	size_t		count;
};

static void
add_reading(struct readings *r, const char *text, size_t len, double credit, int64_t passages)
{
	struct reading *one = &r->list[r->count];

	if (r->count == PHRASES_MAX || len >= sizeof(one->text))
		return;
	*one = (struct reading){ .credit = credit, .passages = passages };
	for (size_t i = 0; i < len; i++)
		one->text[i] = text[i] == '_' ? ' ' : text[i];
	r->count++;
}

/* Other words for a stem, as far as the index has them.  A phrase is looked for when its first word is there. */
static void
add_synonyms(struct search *s, struct readings *r, const char *stem, double credit)
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
				add_reading(r, y->text, y->len, credit, n);
		}
	}
}

/* A misspelt word of the index, or a misspelt synonym of one. */
static void
add_nearest(struct search *s, struct readings *r, const struct stem *stem)
{
	const char *near = vocab_nearest(&s->vocab, stem->text, stem->len);
	char word[WORD_BYTES];

	if (near != NULL && word_with_stem(s, near, strlen(near), word)) {
		add_reading(r, word, strlen(word), CREDIT_NEAR, passages_with(s, near, strlen(near)));
		add_synonyms(s, r, near, CREDIT_NEAR * CREDIT_SYNONYM);
		return;
	}
	for (size_t i = 0; i < s->synonym_count && stem->len >= 5; i++) {
		const char *other = s->synonyms[i].stem;
		size_t len = strlen(other);

		if (len >= 5 && words_share_an_end(stem->text, stem->len, other, len) &&
		    words_near(stem->text, stem->len, other, len)) {
			add_synonyms(s, r, other, CREDIT_NEAR * CREDIT_SYNONYM);
			return;
		}
	}
}

static void
add_part(struct search *s, struct readings *r, const struct stem *stem)
{
	const char *part = vocab_compound(&s->vocab, stem->text, stem->len);
	char word[WORD_BYTES];

	if (part != NULL && word_with_stem(s, part, strlen(part), word))
		add_reading(r, word, strlen(word), CREDIT_PART, passages_with(s, part, strlen(part)));
}

/* One word of the question and what is known about it. */
struct lookup {
	struct word	word;
	struct known	*known;		/* NULL: nothing in the index stands for it */
	bool		ignored;	/* it is no word of the question */
	size_t		phrase;		/* the one that is the word as it was written, or NO_PHRASE */
};

#define NO_PHRASE	PHRASES_MAX

static int64_t
passages_of_word(const struct lookup *l)
{
	return l->known ? l->known->passages : 0;
}

/* A mistyped order number is another order, not another word. */
static bool
has_digit(const char *text)
{
	return strpbrk(text, "0123456789") != NULL;
}

/* What was probably meant by a word that nobody knows. */
static enum hl_err
guess(struct search *s, struct question *q, const struct stem *stem, struct readings *r)
{
	if (has_digit(stem->text) || q->corrections-- <= 0)
		return HL_OK;
	if (q->recall && s->vocab.count > RECALL_WORDS)
		return HL_BUSY;
	add_nearest(s, r, stem);
	if (r->count == 0)
		add_part(s, r, stem);
	return HL_OK;
}

static const struct posting *
posting_of(struct search *s, const struct question *q, const char *phrase, bool keep_nothing, enum hl_err *ret_err)
{
	const struct posting *p = memory_posting(&s->memory, phrase);

	*ret_err = p || !q->recall ? HL_OK : HL_BUSY;
	return p || q->recall ? p : rank_posting(s, phrase, keep_nothing, ret_err);
}

/* Whether the index may have a phrase: it has each of its words. */
static bool
may_have(struct search *s, const char *phrase)
{
	struct stem stem;
	size_t n;

	for (const char *p = phrase; *p; p += n + (p[n] == ' ')) {
		n = strcspn(p, " ");
		if (stem_of(s, p, n, &stem) && passages_with(s, stem.text, stem.len) == 0)
			return false;
	}
	return true;
}

/* A phrase of a customer's is kept when the index has it, only then. */
static enum hl_err
learn_phrase(struct search *s, const struct question *q, const char *phrase, struct readings *r)
{
	enum hl_err err = HL_OK;
	const struct posting *p = may_have(s, phrase) ? posting_of(s, q, phrase, false, &err) : NULL;

	if (p && p->count > 0)
		add_reading(r, phrase, strlen(phrase), CREDIT_EXACT, (int64_t)p->count);
	return err;
}

/* The word itself, written as all are that have its stem: they share a posting. */
static void
add_exact(struct search *s, struct readings *r, const char *text, const struct stem *stem, int64_t passages)
{
	char word[WORD_BYTES];

	if (word_with_stem(s, stem->text, stem->len, word))
		text = word;
	add_reading(r, text, strlen(text), CREDIT_EXACT, passages);
}

/* Finds what stands for a word of which the memory has nothing. */
static enum hl_err
learn(struct search *s, struct question *q, struct lookup *l)
{
	const char *text = l->word.text;
	struct readings r = { .count = 0 };
	enum hl_err err = HL_OK;
	bool guessed = false;
	struct stem stem;
	int64_t passages = 0;

	if (q->recall && s->vocab.partial)
		return HL_BUSY;
	if (stem_of(s, text, strlen(text), &stem)) {
		passages = passages_with(s, stem.text, stem.len);
		if (passages > 0)
			add_exact(s, &r, text, &stem, passages);
		add_synonyms(s, &r, stem.text, CREDIT_SYNONYM);
		guessed = r.count == 0;
		l->ignored = guessed && !has_digit(text) && words_stop_misspelt(text);
		if (guessed && !l->ignored)
			err = guess(s, q, &stem, &r);
	} else if (stem.tokens > 0) {
		err = learn_phrase(s, q, text, &r);
	} else {
		l->ignored = true;
	}
	err = err ? err : q->err;
	if (err || r.count == 0)
		return err;
	return memory_keep_word(&s->memory, text, r.list, r.count, passages, guessed, &l->known);
}

static enum hl_err
look_up(struct search *s, struct question *q, const char *text, size_t len, struct lookup *ret, size_t *count)
{
	struct word words[WORDS_MAX];
	size_t n = words_of(s->lexicon, text, len, words, WORDS_MAX);
	enum hl_err err = HL_OK;

	for (size_t i = 0; i < n && err == HL_OK; i++) {
		struct lookup *l = &ret[i];

		*l = (struct lookup){ .word = words[i], .known = memory_word(&s->memory, words[i].text), .phrase = NO_PHRASE };
		if (l->known == NULL)
			err = learn(s, q, l);
		else if (l->known->guessed && q->corrections-- <= 0)
			l->known = NULL;
	}
	*count = n;
	return err;
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

/* The phrases that stand for a word. */
static enum hl_err
add_phrases(struct search *s, struct question *q, struct lookup *l)
{
	for (size_t i = 0; l->known && i < l->known->count && q->phrase_count < PHRASES_MAX; i++) {
		struct reading *r = &l->known->readings[i];
		enum hl_err err;

		if (r->posting == NULL) {
			r->posting = posting_of(s, q, r->text, true, &err);
			if (r->posting == NULL)
				return err;
		}
		if (i == 0 && l->known->passages > 0)
			l->phrase = q->phrase_count;
		q->phrases[q->phrase_count++] = (struct phrase){ .posting = r->posting, .term = q->term_count,
		    .credit = r->credit, .passages = r->passages >= 0 ? r->passages : (int64_t)r->posting->count };
	}
	return HL_OK;
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
	q->all = 0;
	for (size_t t = 0; t < q->term_count; t++) {
		q->weight[t] = weight_of(s, most[t]) * (q->weak[t] ? WEIGHT_WEAK : 1);
		q->all += q->weight[t];
	}
	q->all = q->all < WEIGHT_LITTLE ? WEIGHT_LITTLE : q->all > WEIGHT_ENOUGH ? WEIGHT_ENOUGH : q->all;
}

static void
add_pair(struct question *q, const struct lookup *first, const struct lookup *second)
{
	if (first->phrase == NO_PHRASE || second->phrase == NO_PHRASE || q->phrase_count == PHRASES_MAX)
		return;
	q->phrases[q->phrase_count++] = (struct phrase){ .term = NO_TERM, .first = first->phrase, .second = second->phrase };
	q->pairs++;
}

/* Rare words first, for there is room for some only; those that the index does not have come last. */
static int
by_rarity(const void *a, const void *b)
{
	const struct lookup *x = *(const struct lookup *const *)a, *y = *(const struct lookup *const *)b;
	int64_t n = passages_of_word(x), m = passages_of_word(y);

	if ((n == 0) != (m == 0))
		return n == 0 ? 1 : -1;
	if (n != m)
		return n < m ? -1 : 1;
	return x < y ? -1 : 1;
}

/* An order number or an amount is hardly ever what a question is about; the name of a model ("E14") can be. */
static bool
is_number(const struct lookup *l)
{
	const char *text = l->word.text;

	return text[strspn(text, "0123456789")] == '\0' || (passages_of_word(l) == 0 && has_digit(text));
}

enum hl_err
question_read(struct search *s, const char *text, size_t len, struct question *q)
{
	struct lookup lookups[WORDS_MAX], *rarest[WORDS_MAX];
	enum hl_err err;
	size_t n;

	q->phrase_count = q->term_count = q->pairs = 0;
	q->corrections = CORRECTIONS;
	q->err = HL_OK;
	err = look_up(s, q, text, len, lookups, &n);
	if (err)
		return err;
	for (size_t i = 0; i < n; i++)
		rarest[i] = &lookups[i];
	qsort(rarest, n, sizeof(rarest[0]), by_rarity);
	for (size_t i = 0; i < n; i++) {
		if (rarest[i]->ignored)
			continue;
		err = add_phrases(s, q, rarest[i]);
		if (err)
			return err;
		q->weak[q->term_count++] = rarest[i]->word.weak || is_number(rarest[i]);
	}
	for (size_t i = 1; i < n; i++)
		if (lookups[i].word.follows)
			add_pair(q, &lookups[i - 1], &lookups[i]);
	weigh(s, q);
	return HL_OK;
}
