/*
 * fold.h - text as people look for it: without case, without accents, and the same however it was composed.
 */
#ifndef HL_FOLD_H
#define HL_FOLD_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define FOLD_MAX	3	/* letters of one: the ligature ffi */

/* A letter folded, accents of common Latin ones gone. */
uint32_t fold_plain(uint32_t);

/*
 * What a letter is looked for as: that, of all Latin, Greek and Cyrillic ones, in full what the Unicode Standard folds to
 * several (CaseFolding.txt, status F: sharp s as ss, ligatures, iota subscript as iota), full width as usual.  Returns how many;
 * 0: it is a mark on the letter before it, or invisible.
 */
size_t	 fold_letter(uint32_t, uint32_t ret[FOLD_MAX]);

/* The next letter of [*at, end), which is not empty: of Korean parts the syllable, of a kana and its voicing mark the one. */
uint32_t fold_next(const char **at, const char *end);

/* Appends each letter so, but Korean syllables in their parts, so that who looks for one finds it while it is being typed. */
void	 fold_text(struct buf *out, const char *, size_t);

#endif
