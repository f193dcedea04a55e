/*
 * words.h - a text as plain words, for rules that look for words rather than for exact spelling.  No I/O, no memory.
 */
#ifndef HL_WORDS_H
#define HL_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORD_MAX	31	/* bytes; what is longer is cut, no rule knows such words */

struct word {
	char	text[WORD_MAX + 1];	/* folded, Latin letters without accents, no letter more than twice in a row */
	size_t	len;
	bool	pause;			/* punctuation or a line break stands before it */
};

enum apostrophe { APOSTROPHE_JOINS, APOSTROPHE_SPLITS };	/* "what's" is "whats", or "what" and "s" */

/* The next word of [*at, end), or false when there is none.  Any bytes will do, valid UTF-8 or not. */
bool	 word_next(const char **at, const char *end, enum apostrophe, struct word *ret);

/* Scripts without spaces between words, and Korean, which joins particles to them: a word may end at any letter. */
bool	 word_unspaced(uint32_t);

/* Are the words at most `edits` letters apart (left out, added, wrong, or two swapped)? */
bool	 word_near(const char *a, size_t alen, const char *b, size_t blen, unsigned edits);

/* Is the word in the list, whose words are separated by single spaces? */
bool	 word_in(const struct word *, const char *list);

#endif
