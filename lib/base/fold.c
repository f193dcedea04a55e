#include "base/fold.h"
#include "base/str.h"

/* U+00E0…U+00FF and U+0100…U+017F without their accents ('*': not a letter). */
static const char latin1[] = "aaaaaaaceeeeiiiidnooooo*ouuuuyty";
static const char latin_a[] =
	"aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkkllllllllll"
	"nnnnnnnnnoooooooorrrrrrsssssssstttttt" "uuuuuuuuuuuuwwyyyzzzzzzs";

/* U+1E00…U+1EFF likewise ('*': U+1E9E and U+1E9F). */
static const char latin_more[] =
	"aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmm"
	"mmmmnnnnnnnnoooooooopppprrrrrrrrssssssssssttttttttuuuuuuuuuuvvvv"
	"wwwwwwwwwwxxxxyyzzzzzzhtwyasss**aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeee"
	"eeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyyllvvyy";

uint32_t
fold_plain(uint32_t c)
{
	c = uni_fold(c);
	if (c >= 0xe0 && c <= 0xff && c != 0xf7)
		return (unsigned char)latin1[c - 0xe0];
	if (c >= 0x100 && c <= 0x17f)
		return (unsigned char)latin_a[c - 0x100];
	return c;
}

/* Letters of other scripts that people write with and without a mark, or that are one letter or a letter and a mark. */
static uint32_t
without_mark(uint32_t c)
{
	static const struct { uint16_t from, to; } letters[] = {
		{ 0x390, 0x3b9 }, { 0x3ac, 0x3b1 }, { 0x3ad, 0x3b5 }, { 0x3ae, 0x3b7 }, { 0x3af, 0x3b9 }, { 0x3b0, 0x3c5 },
		{ 0x3ca, 0x3b9 }, { 0x3cb, 0x3c5 }, { 0x3cc, 0x3bf }, { 0x3cd, 0x3c5 }, { 0x3ce, 0x3c9 },	/* Greek */
		{ 0x439, 0x438 }, { 0x451, 0x435 }, { 0x457, 0x456 }, { 0x45e, 0x443 },				/* Cyrillic */
	};

	if (c >= 0x1e00 && c <= 0x1eff && latin_more[c - 0x1e00] != '*')
		return (unsigned char)latin_more[c - 0x1e00];
	if (c < 0x390 || c > 0x45e)
		return c;
	for (size_t i = 0; i < sizeof(letters) / sizeof(*letters); i++)
		if (letters[i].from == c)
			return letters[i].to;
	return c;
}

static bool
is_unseen(uint32_t c)
{
	return (c >= 0x300 && c <= 0x36f) || c == 0xad || c == 0x200c || c == 0x200d || c == 0x2060 || c == 0xfeff;
}

size_t
fold_letter(uint32_t c, uint32_t ret[FOLD_MAX])
{
	static const char *const ligatures[] = { "ff", "fi", "fl", "ffi", "ffl", "st", "st" };
	const char *several = NULL;
	size_t n = 0;

	if (is_unseen(c))
		return 0;
	if (c == 0xdf || c == 0x1e9e)
		several = "ss";
	else if (c >= 0xfb00 && c <= 0xfb06)
		several = ligatures[c - 0xfb00];
	for (; several && several[n]; n++)
		ret[n] = (unsigned char)several[n];
	if (n == 0)
		ret[n++] = without_mark(fold_plain(c >= 0xff01 && c <= 0xff5e ? c - 0xfee0 : c));
	return n;
}

/* The Unicode Standard, 3.12: a syllable is a leading consonant, a vowel, and perhaps a trailing consonant. */
static size_t
korean_parts(uint32_t c, uint32_t ret[FOLD_MAX])
{
	uint32_t i = c - 0xac00;

	ret[0] = 0x1100 + i / (21 * 28);
	ret[1] = 0x1161 + i % (21 * 28) / 28;
	ret[2] = 0x11a7 + i % 28;
	return i % 28 ? 3 : 2;
}

void
fold_text(struct buf *out, const char *s, size_t len)
{
	const char *end = s + len;

	while (s < end) {
		uint32_t c = utf8_next(&s, end), letters[FOLD_MAX];
		size_t n = c >= 0xac00 && c <= 0xd7a3 ? korean_parts(c, letters) : fold_letter(c, letters);

		for (size_t i = 0; i < n; i++)
			utf8_put(out, letters[i]);
	}
}
