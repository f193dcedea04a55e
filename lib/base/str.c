#include <locale.h>
#include <string.h>
#include <threads.h>
#include <wchar.h>
#include <wctype.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/str.h"

/*
 * Character classes and folding come from the C library's C.UTF-8 locale, which every Debian has: all scripts, no table
 * of our own.  Created once, by whichever thread is first; a process without it falls back to ASCII.
 */
static locale_t locale;

static void
open_locale(void)
{
	locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (locale == (locale_t)0)
		locale = newlocale(LC_CTYPE_MASK, "C", (locale_t)0);
}

static locale_t
unicode(void)
{
	static once_flag once = ONCE_FLAG_INIT;

	call_once(&once, open_locale);
	return locale;
}

/* Length of the sequence that starts at p, or 0 if it is not valid (RFC 3629, section 4). */
static size_t
sequence(const unsigned char *p, size_t left)
{
	size_t n;
	unsigned char low = 0x80, high = 0xbf;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (left < n)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

#define HIGH_BITS	0x8080808080808080u

/* As most of what comes is.  The last eight bytes are looked at once more with those before them, not one by one. */
static bool
is_ascii(const unsigned char *p, size_t len)
{
	unsigned char any = 0;
	uint64_t eight;

	if (len < sizeof(eight)) {
		while (len)
			any |= p[--len];
		return any < 0x80;
	}
	for (size_t i = 0; i < len - sizeof(eight); i += sizeof(eight))
		if (memcpy(&eight, p + i, sizeof(eight)), eight & HIGH_BITS)
			return false;
	memcpy(&eight, p + len - sizeof(eight), sizeof(eight));
	return (eight & HIGH_BITS) == 0;
}

bool
utf8_valid(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t i = 0, n;

	if (is_ascii(p, len))
		return true;
	while (i < len) {
		uint64_t eight;

		if (len - i >= 8 && (memcpy(&eight, p + i, 8), (eight & HIGH_BITS) == 0)) {
			i += 8;
			continue;
		}
		if ((n = sequence(p + i, len - i)) == 0)
			return false;
		i += n;
	}
	return true;
}

uint32_t
utf8_next_wide(const char **at, const char *end)
{
	const unsigned char *p = (const unsigned char *)*at;
	size_t n = sequence(p, (size_t)(end - *at));
	uint32_t c;

	if (n == 0) {
		*at += 1;
		return 0xfffd;
	}
	c = p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3fu);
	*at += n;
	return c;
}

void
utf8_put_wide(struct buf *out, uint32_t c)
{
	char b[4];
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n; i-- > 1; c >>= 6)
		b[i] = (char)(0x80 | (c & 0x3f));
	b[0] = (char)((0xf00u >> n & 0xf0) | c);
	buf_add(out, b, n);
}

size_t
utf8_cut(const char *s, size_t len, size_t max)
{
	if (len <= max)
		return len;
	while (max > 0 && ((unsigned char)s[max] & 0xc0) == 0x80)
		max--;
	return max;
}

bool
uni_is_letter_or_digit_wide(uint32_t c)
{
	/* Combining marks belong to the letter before them; the C library does not call them all alphabetic. */
	return iswalnum_l((wint_t)c, unicode()) || iswctype_l((wint_t)c, wctype_l("combining", unicode()), unicode());
}

bool
uni_is_lower(uint32_t c)
{
	return iswlower_l((wint_t)c, unicode());
}

uint32_t
uni_fold_wide(uint32_t c)
{
	if (c == 0x1e9e)			/* capital sharp s */
		return 0xdf;
	if (c == 0x3c2)				/* final sigma */
		return 0x3c3;
	return (uint32_t)towlower_l((wint_t)towupper_l((wint_t)c, unicode()), unicode());
}

uint32_t
uni_upper(uint32_t c)
{
	return (uint32_t)towupper_l((wint_t)c, unicode());
}

void
str_fold(struct buf *out, const char *s, size_t len)
{
	const char *end = s + len;

	while (s < end)
		utf8_put(out, uni_fold(utf8_next(&s, end)));
}

typedef unsigned char bytes16 __attribute__((vector_size(16)));

/* Which of the bytes is the first that is not 0, all of whose bits are set then; 16: none. */
static unsigned
first_of16(bytes16 odd)
{
#ifdef __SSE2__
	return (unsigned)__builtin_ctz((unsigned)_mm_movemask_epi8((__m128i)odd) | 1u << 16);
#else
	unsigned i = 0;
	uint64_t halves[2];

	memcpy(halves, &odd, sizeof(halves));
	if (halves[0] == 0 && halves[1] == 0)
		return 16;
	while (odd[i] == 0)
		i++;
	return i;
#endif
}

/* How many of the sixteen bytes at p are plain before the first that is not. */
static unsigned
plain16(const char *p)
{
	bytes16 v, odd;

	memcpy(&v, p, sizeof(v));
	odd = (bytes16)((v < 0x20) | (v == '"') | (v == '\\'));
	return first_of16(odd);
}

size_t
str_json_plain(const char *s, const char *end)
{
	const char *p = s;

	for (; end - p >= 16; p += 16) {
		unsigned n = plain16(p);

		if (n < 16)
			return (size_t)(p - s) + n;
	}
	while (p < end && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\')
		p++;
	return (size_t)(p - s);
}

size_t
str_json_ascii(const char *s, const char *end)
{
	typedef signed char signed16 __attribute__((vector_size(16)));
	const char *p = s;

	for (; end - p >= 16; p += 16) {
		signed16 v;
		unsigned n;

		memcpy(&v, p, sizeof(v));
		n = first_of16((bytes16)((v < 0x20) | (v == '"') | (v == '\\')));	/* what is not ASCII is negative */
		if (n < 16)
			return (size_t)(p - s) + n;
	}
	while (p < end && (signed char)*p >= 0x20 && *p != '"' && *p != '\\')
		p++;
	return (size_t)(p - s);
}

/* What the C library does not call white space. */
static bool
is_unseen(uint32_t c)
{
	static const struct { uint32_t first, last; } ranges[] = {
		{ 0x0, 0x1f }, { 0x7f, 0xa0 }, { 0xad, 0xad }, { 0x300, 0x36f }, { 0x61c, 0x61c }, { 0x115f, 0x1160 }, { 0x17b4, 0x17b5 },
		{ 0x180b, 0x180f }, { 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x2007, 0x2007 }, { 0x200b, 0x200f },
		{ 0x202a, 0x202f }, { 0x2060, 0x206f }, { 0x20d0, 0x20ff }, { 0x2800, 0x2800 }, { 0x3164, 0x3164 },
		{ 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f }, { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 }, { 0xfff0, 0xfffb },
		{ 0x13430, 0x1343f }, { 0x16fe4, 0x16fe4 }, { 0x1bca0, 0x1bca3 }, { 0x1d159, 0x1d159 }, { 0x1d173, 0x1d17a },
		{ 0xe0000, 0xe0fff },
	};
	size_t i = 0;

	if ((c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef))
		return true;		/* no characters */
	while (i < sizeof(ranges) / sizeof(*ranges) && c > ranges[i].last)
		i++;
	return i < sizeof(ranges) / sizeof(*ranges) && c >= ranges[i].first;
}

bool
str_blank(const char *s, size_t len)
{
	const char *end = s + len;

	while (s < end) {
		uint32_t c = utf8_next(&s, end);

		if (!iswspace_l((wint_t)c, unicode()) && !is_unseen(c))
			return false;
	}
	return true;
}

bool
str_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

uint32_t
str_hash(const char *s, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * 16777619u;
	return h;
}

#define INT_DIGITS	19		/* of the largest int64_t */

size_t
str_int(char out[STR_INT_MAX], int64_t value)
{
	uint64_t v = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	unsigned digits = 1;
	char *end;

	for (uint64_t ten = 10; digits < INT_DIGITS && v >= ten; ten *= 10)
		digits++;
	out[0] = '-';
	end = out + (value < 0) + digits;
	*end = '\0';
	for (char *p = end; digits-- > 0; v /= 10)
		*--p = (char)('0' + v % 10);
	return (size_t)(end - out);
}
