/*
 * search_vocab.h - the words (stems) of the index in memory: how many passages have one, and which one a misspelt word
 * meant.  About 20 bytes a word.  No I/O.
 */
#ifndef HL_SEARCH_VOCAB_H
#define HL_SEARCH_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define VOCAB_MAX	30000u	/* words; later ones of a larger index are not corrected */

struct vocab_word {
	uint32_t	at;		/* in text */
	uint32_t	letters;	/* bit c % 32 for every character c */
	uint32_t	passages;
	uint32_t	len;		/* bytes */
};

struct vocab {
	struct vocab_word	*words;		/* in byte order */
	size_t			 count, cap;
	struct buf		 text;
	bool			 partial;	/* there were more than VOCAB_MAX */
};

#define VOCAB_INIT	((struct vocab){ .text = BUF_INIT(4u << 20) })

void	 vocab_free(struct vocab *);		/* empty afterwards */

/* Words come in byte order. */
enum hl_err vocab_add(struct vocab *, const char *word, size_t len, uint32_t passages) HL_MUST_CHECK;

/* How many passages have the word; 0 if none, or if it is beyond VOCAB_MAX. */
uint32_t vocab_passages(const struct vocab *, const char *word);

/* The most frequent word one typing mistake away from this one, or NULL.  Short words are not corrected. */
const char *vocab_nearest(const struct vocab *, const char *word, size_t len);

/* The longest word that this one begins with, or that begins with it ("versandkosten" and "versand"), or NULL. */
const char *vocab_compound(const struct vocab *, const char *word, size_t len);

#endif
