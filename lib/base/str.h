/*
 * str.h - text: UTF-8, folding, words.
 */
#ifndef HL_STR_H
#define HL_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, at most U+10FFFF. */
bool	 utf8_valid(const char *, size_t);

uint32_t utf8_next_wide(const char **, const char *end);	/* these are for the functions below */
void	 utf8_put_wide(struct buf *, uint32_t);
bool	 uni_is_letter_or_digit_wide(uint32_t);
uint32_t uni_fold_wide(uint32_t);

/* Decodes the code point at *p (p < end) and moves p behind it; a byte that is no part of valid UTF-8 is U+FFFD. */
static inline uint32_t
utf8_next(const char **p, const char *end)
{
	return (unsigned char)**p < 0x80 ? (unsigned char)*(*p)++ : utf8_next_wide(p, end);
}

static inline void
utf8_put(struct buf *out, uint32_t c)
{
	if (c < 0x80)
		buf_putc(out, (char)c);
	else
		utf8_put_wide(out, c);
}

/* The largest n <= max at which the text can be cut without splitting a code point. */
size_t	 utf8_cut(const char *, size_t len, size_t max);

/* In any script, combining marks counted in. */
static inline bool
uni_is_letter_or_digit(uint32_t c)
{
	return c < 0x80 ? (c | 32) - 'a' < 26 || c - '0' < 10 : uni_is_letter_or_digit_wide(c);
}

/* Simple case folding. */
static inline uint32_t
uni_fold(uint32_t c)
{
	return c < 0x80 ? (c - 'A' < 26 ? c + 32 : c) : uni_fold_wide(c);
}

bool	 uni_is_lower(uint32_t);		/* a lower-case letter; none of a script without cases is */
uint32_t uni_upper(uint32_t);			/* simple upper case; itself if it has none */

/* Appends the text case-folded. */
void	 str_fold(struct buf *, const char *, size_t);

/* How many bytes from here on need no escape in a JSON string: no quote, no backslash, no control character. */
size_t	 str_json_plain(const char *, const char *end);
size_t	 str_json_ascii(const char *, const char *end);		/* of those, before the first that is not ASCII */

/* Nothing in it is seen: white space, controls, what has no glyph (Default_Ignorable_Code_Point), marks alone. */
bool	 str_blank(const char *, size_t);
uint32_t str_hash(const char *, size_t);	/* FNV-1a: for tables whose keys no stranger chooses, or that are bounded */
/* The number in decimal digits, as printf's %lld writes it; returns their count. */
#define STR_INT_MAX	21
size_t	 str_int(char out[STR_INT_MAX], int64_t);

bool	 str_equal(const char *, const char *);	/* NULL equals only NULL */

#endif
