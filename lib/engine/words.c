#include <stdint.h>
#include <string.h>

#include "base/fold.h"
#include "base/str.h"
#include "engine/words.h"

bool
word_unspaced(uint32_t c)
{
	static const struct { uint32_t first, last; } ranges[] = {
		{ 0x0e00, 0x0eff },	/* Thai, Lao */
		{ 0x1000, 0x109f },	/* Myanmar */
		{ 0x1100, 0x11ff },	/* Hangul jamo */
		{ 0x1780, 0x17ff },	/* Khmer */
		{ 0x2e80, 0x2fdf },	/* radicals */
		{ 0x3005, 0x3007 }, { 0x3021, 0x3029 },
		{ 0x3040, 0x318f },	/* kana, bopomofo, Hangul compatibility jamo */
		{ 0x31a0, 0x31ff }, { 0x3400, 0x4dbf }, { 0x4e00, 0x9fff },
		{ 0xa960, 0xa97f }, { 0xac00, 0xd7ff }, { 0xf900, 0xfaff }, { 0xff66, 0xff9f },
		{ 0x1b000, 0x1b16f }, { 0x20000, 0x3ffff },
	};

	for (size_t i = 0; c >= ranges[0].first && i < sizeof(ranges) / sizeof(*ranges); i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return false;
}

static bool
is_apostrophe(uint32_t c)
{
	return c == '\'' || c == '`' || c == 0xb4 || c == 0x2bc || c == 0x2018 || c == 0x2019;
}

/* Does a clause end here?  At a dash that stands apart, a full stop unless a letter follows, a picture. */
static bool
is_pause(uint32_t c, const char *next, const char *end)
{
	if (c == '-')
		return next < end && *next == ' ';
	if (c == '.')
		return next == end || !uni_is_letter_or_digit((unsigned char)*next);
	if (c < 0x80)
		return c > 0 && strchr(",!?;:()[]{}\"\n\r|", (int)c);
	return c >= 0x2010 && c != 0x202f && !is_apostrophe(c);
}

static void
put(struct word *w, uint32_t c)
{
	unsigned char b[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	if (c >= 0x300 && c <= 0x36f)		/* the accent of a decomposed letter */
		return;
	if (w->len + n > WORD_MAX)
		return;
	if (n == 1 && w->len >= 2 && w->text[w->len - 1] == (char)c && w->text[w->len - 2] == (char)c)
		return;
	if (n == 1) {
		w->text[w->len++] = (char)c;
		return;
	}
	for (size_t i = n; i-- > 1; c >>= 6)
		b[i] = (unsigned char)(0x80 | (c & 0x3f));
	b[0] = (unsigned char)((0xf00u >> n & 0xf0) | c);
	memcpy(w->text + w->len, b, n);
	w->len += n;
}

bool
word_next(const char **at, const char *end, enum apostrophe mode, struct word *ret)
{
	const char *p = *at;

	ret->len = 0;
	ret->pause = false;
	while (p < end) {
		const char *here = p;
		uint32_t c = utf8_next(&p, end);

		if (c != 0xfffd && uni_is_letter_or_digit(c)) {
			put(ret, fold_plain(c));
		} else if (ret->len == 0) {
			ret->pause |= is_pause(c, p, end);
		} else if (mode == APOSTROPHE_SPLITS || !is_apostrophe(c)) {
			p = here;		/* its pause is the next word's */
			break;
		}
	}
	*at = p;
	ret->text[ret->len] = '\0';
	return ret->len > 0;
}

bool
word_near(const char *a, size_t alen, const char *b, size_t blen, unsigned edits)
{
	while (alen > 0 && blen > 0 && *a == *b) {
		a++, alen--;
		b++, blen--;
	}
	if (alen == 0 || blen == 0)
		return alen + blen <= edits;
	if (edits == 0 || alen > blen + edits || blen > alen + edits)
		return false;
	if (alen > 1 && blen > 1 && a[0] == b[1] && a[1] == b[0] &&
	    word_near(a + 2, alen - 2, b + 2, blen - 2, edits - 1))
		return true;
	return word_near(a + 1, alen - 1, b + 1, blen - 1, edits - 1) ||
	    word_near(a + 1, alen - 1, b, blen, edits - 1) || word_near(a, alen, b + 1, blen - 1, edits - 1);
}

bool
word_in(const struct word *w, const char *list)
{
	for (const char *p = list; (p = strstr(p, w->text)) != NULL; p++)
		if ((p == list || p[-1] == ' ') && (p[w->len] == ' ' || p[w->len] == '\0'))
			return true;
	return false;
}
