#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "services/search_vocab.h"
#include "services/search_words.h"

#define SHORTEST_CORRECTED	5u	/* characters: shorter words have too many neighbours */
#define SHORTEST_SUBSTITUTED	6u	/* "light" is not a mistyped "night" */
#define SHORTEST_PART		5u	/* bytes of a compound's part */

void
vocab_free(struct vocab *v)
{
	free(v->words);
	buf_free(&v->text);
	*v = VOCAB_INIT;
}

static uint32_t
letters_of(const char *word, size_t len, size_t *ret_count)
{
	const char *p = word, *end = word + len;
	uint32_t letters = 0;

	for (*ret_count = 0; p < end; ++*ret_count)
		letters |= 1u << (utf8_next(&p, end) % 32);
	return letters;
}

static const char *
word_at(const struct vocab *v, size_t i)
{
	return v->text.data + v->words[i].at;
}

enum hl_err
vocab_add(struct vocab *v, const char *word, size_t len, uint32_t passages)
{
	struct vocab_word *w;
	size_t characters;

	if (len >= WORD_BYTES)
		return HL_OK;
	if (v->count == VOCAB_MAX) {
		v->partial = true;
		return HL_OK;
	}
	if (v->count == v->cap) {
		size_t cap = v->cap ? v->cap + v->cap / 2 : 256;
		struct vocab_word *more = realloc(v->words, cap * sizeof(*more));

		if (more == NULL)
			return HL_NO_MEMORY;
		v->words = more;
		v->cap = cap;
	}
	w = &v->words[v->count];
	*w = (struct vocab_word){ .at = (uint32_t)v->text.len, .letters = letters_of(word, len, &characters),
	    .passages = passages, .len = (uint32_t)len };
	buf_add(&v->text, word, len);
	buf_putc(&v->text, '\0');
	if (v->text.err == HL_OK)
		v->count++;
	return buf_err(&v->text);
}

/* The first word that is not before this one. */
static size_t
lower_bound(const struct vocab *v, const char *word)
{
	size_t low = 0, high = v->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(word_at(v, middle), word) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t
vocab_passages(const struct vocab *v, const char *word)
{
	size_t i = lower_bound(v, word);

	return i < v->count && strcmp(word_at(v, i), word) == 0 ? v->words[i].passages : 0;
}

static bool
more_than_two(uint32_t bits)
{
	bits &= bits - 1;
	bits &= bits - 1;
	return bits != 0;
}

const char *
vocab_nearest(const struct vocab *v, const char *word, size_t len)
{
	const struct vocab_word *best = NULL;
	size_t characters;
	uint32_t letters = letters_of(word, len, &characters);

	if (characters < SHORTEST_CORRECTED)
		return NULL;
	for (size_t i = 0; i < v->count; i++) {
		const struct vocab_word *w = &v->words[i];

		if (more_than_two(w->letters ^ letters) || w->len < SHORTEST_CORRECTED ||
		    w->len + 4 < len || w->len > len + 4 ||
		    (w->len == len && characters < SHORTEST_SUBSTITUTED && w->letters != letters) ||
		    !words_share_an_end(word, len, word_at(v, i), w->len) || !words_near(word, len, word_at(v, i), w->len))
			continue;
		if (best == NULL || w->passages > best->passages)
			best = w;
	}
	return best ? v->text.data + best->at : NULL;
}

const char *
vocab_compound(const struct vocab *v, const char *word, size_t len)
{
	char part[WORD_BYTES];
	size_t i = lower_bound(v, word);

	if (len < SHORTEST_PART)
		return NULL;
	if (i < v->count && strncmp(word_at(v, i), word, len) == 0)
		return word_at(v, i);
	memcpy(part, word, len + 1);
	while (--len >= SHORTEST_PART) {
		part[len] = '\0';
		i = lower_bound(v, part);
		if (i < v->count && strcmp(word_at(v, i), part) == 0)
			return word_at(v, i);
	}
	return NULL;
}
