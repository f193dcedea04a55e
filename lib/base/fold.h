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
 * What a letter is looked for as: that, of all Latin, Greek and Cyrillic ones, sharp s as ss, ligatures in full, full width as
 * usual.  Returns how many; 0: it is a mark on the letter before it, or invisible.
 */
size_t	 fold_letter(uint32_t, uint32_t ret[FOLD_MAX]);

/* Appends each letter so, Korean syllables in their parts and kana with their voicing, however they were composed. */
void	 fold_text(struct buf *out, const char *, size_t);

#endif
