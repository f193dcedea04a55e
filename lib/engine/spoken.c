#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "engine/spoken.h"

#define FIRST_MIN	24u	/* characters: shorter ones are hardly worth a request of their own */
#define SECOND_MIN	120u
#define PIECE_MIN	300u
#define SENTENCE_MAX	1200u	/* bytes, then it is cut at a space */
#define LINK_MAX	600u	/* bytes within which a link must end to be one */

void
spoken_init(struct spoken *s)
{
	*s = (struct spoken){ .raw = BUF_INIT(SPOKEN_TEXT_MAX), .piece = BUF_INIT(SPOKEN_TEXT_MAX) };
}

void
spoken_free(struct spoken *s)
{
	buf_free(&s->raw);
	buf_free(&s->piece);
	spoken_init(s);
}

void
spoken_feed(struct spoken *s, const char *text, size_t len)
{
	buf_add(&s->raw, text, len);
}

void
spoken_end(struct spoken *s)
{
	s->ended = true;
}

/* ---- where a sentence ends ---- */

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* "e.g.", "Dr.", "z.B.", "J.", "3.": no sentence ends there.  at: of the full stop. */
static bool
is_abbreviation(const char *text, size_t at)
{
	static const char *const known[] = { "dr", "mr", "mrs", "ms", "no", "nr", "st", "vs", "ca", "etc",
		"approx", "bzw", "inkl", "usw", "str", "tel" };
	size_t from = at;

	while (from > 0 && !is_space(text[from - 1]) && text[from - 1] != '\n' && text[from - 1] != '(' && text[from - 1] != '*')
		from--;
	if (at == from)
		return true;
	if (at - from == 1 && isalpha((unsigned char)text[from]))
		return true;
	if (memchr(text + from, '.', at - from) && at - from < 6 && isalpha((unsigned char)text[at - 1]))
		return true;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i]) == at - from && strncasecmp(text + from, known[i], at - from) == 0)
			return true;
	for (size_t i = from; i < at; i++)
		if (!isdigit((unsigned char)text[i]))
			return false;
	for (size_t i = from; i > 0; i--)		/* a number that begins the line is the list's */
		if (text[i - 1] == '\n')
			return true;
		else if (!is_space(text[i - 1]))
			return false;
	return true;
}

/* "。", "！" or "？" */
static bool
ends_without_space(const char *p, size_t left)
{
	return left >= 3 && (memcmp(p, "\xe3\x80\x82", 3) == 0 ||
	    memcmp(p, "\xef\xbc\x81", 3) == 0 || memcmp(p, "\xef\xbc\x9f", 3) == 0);
}

/* Quotation marks, brackets and marks of emphasis that may follow a full stop; their bytes. */
static size_t
closing(const char *p, size_t left)
{
	static const char *const marks[] = { "\"", "'", ")", "]", "*", "_", "`", "\xe2\x80\x9d", "\xe2\x80\x99",
		"\xe2\x80\x9c", "\xc2\xbb", ".", "!", "?" };

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		size_t n = strlen(marks[i]);

		if (left >= n && memcmp(p, marks[i], n) == 0)
			return n;
	}
	return 0;
}

struct seeker { const char *text; size_t len, at; bool ended; };

/* From "[" to behind its ")", or just behind "[" if that is no link.  0: more of the text must come. */
static size_t
pass_link(const struct seeker *k)
{
	size_t i = k->at + 1, limit = k->at + LINK_MAX;

	while (i < k->len && i < limit && k->text[i] != ']' && k->text[i] != '\n')
		i++;
	if (i >= limit || (i < k->len && k->text[i] == '\n'))
		return k->at + 1;
	if (i + 1 >= k->len)
		return k->ended ? k->at + 1 : 0;
	if (k->text[i + 1] != '(')
		return k->at + 1;
	for (i += 2; i < k->len && i < limit && k->text[i] != ')' && k->text[i] != '\n'; i++)
		;
	if (i >= k->len && i < limit)
		return k->ended ? k->at + 1 : 0;
	return i < limit && k->text[i] == ')' ? i + 1 : k->at + 1;
}

/* Behind a sentence that ends at k->at, 0: it does not, k->len + 1: more of the text must come. */
static size_t
sentence_end(const struct seeker *k)
{
	size_t i = k->at + 1, n;
	bool stop = k->text[k->at] == '.';

	while (i < k->len && (n = closing(k->text + i, k->len - i)) > 0)
		i += n;
	if (i + 2 >= k->len && !k->ended)
		return k->len + 1;		/* a mark may have come in part */
	if (i < k->len && !is_space(k->text[i]) && k->text[i] != '\n')
		return 0;
	for (n = i; n < k->len && is_space(k->text[n]); n++)
		;
	if (n >= k->len && !k->ended)
		return k->len + 1;
	if (stop && n < k->len && (islower((unsigned char)k->text[n]) || is_abbreviation(k->text, k->at)))
		return 0;
	return n;
}

/* Too long without an end. */
static size_t
cut_long(const struct seeker *k)
{
	size_t n = SENTENCE_MAX;

	while (n > SENTENCE_MAX / 2 && !is_space(k->text[n]))
		n--;
	return n > SENTENCE_MAX / 2 ? n + 1 : utf8_cut(k->text, k->len, SENTENCE_MAX);
}

/* Bytes of the next sentence or line; 0: none is whole yet. */
static size_t
next_unit(const char *text, size_t len, bool ended)
{
	struct seeker k = { text, len, 0, ended };
	size_t n;

	while (k.at < len) {
		char c = text[k.at];

		if (k.at >= SENTENCE_MAX)
			return cut_long(&k);
		if (c == '\n')
			return k.at + 1;
		n = k.at + 1;
		if (c == '[') {
			n = pass_link(&k);
			if (n == 0)
				return 0;
		} else if (c == '.' || c == '!' || c == '?') {
			n = sentence_end(&k);
			if (n > len)
				return 0;
			if (n)
				return n;
			n = k.at + 1;
		} else if (ends_without_space(text + k.at, len - k.at))
			return k.at + 3;
		k.at = n;
	}
	return ended ? len : 0;
}

/* ---- what is said of it ---- */

struct saying { const char *p, *end; struct buf *out; };

static bool
is_pictograph(uint32_t c)
{
	return (c >= 0x1f000 && c <= 0x1faff) || (c >= 0x2600 && c <= 0x27bf) || (c >= 0x2b00 && c <= 0x2bff) || c == 0xfe0f ||
	    c == 0x200d || c == 0x20e3 || (c >= 0x2190 && c <= 0x21ff) || (c >= 0xe0020 && c <= 0xe007f);
}

/* One space at most between words. */
static void
say_space(struct buf *out)
{
	if (out->len && out->data[out->len - 1] != ' ')
		buf_putc(out, ' ');
}

/* "https://shop.example/a?b" is "shop.example". */
static bool
say_address(struct saying *s)
{
	static const char *const schemes[] = { "https://", "http://", "mailto:" };
	const char *host;

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t n = strlen(schemes[i]);

		if ((size_t)(s->end - s->p) < n || strncasecmp(s->p, schemes[i], n) != 0)
			continue;
		host = s->p + n;
		if (s->end - host > 4 && strncasecmp(host, "www.", 4) == 0)
			host += 4;
		for (s->p = host; s->p < s->end && !strchr("/?#: \t\n<>()[]\"'*`", *s->p); s->p++)
			;
		n = (size_t)(s->p - host);
		while (n && strchr(".,;!", host[n - 1]))
			n--;
		buf_add(s->out, host, n);
		while (s->p < s->end && !strchr(" \t\n<>()[]\"*`", *s->p))
			s->p++;
		if (s->p > host && strchr(".,;!?", s->p[-1]))
			buf_putc(s->out, s->p[-1]);
		return true;
	}
	return false;
}

static void say_inline(struct saying *);

/* [words](address), ![picture](address): the words. */
static bool
say_link(struct saying *s)
{
	const char *open = s->p + (*s->p == '!'), *close, *last;
	struct saying words;

	if (open >= s->end || *open != '[')
		return false;
	close = memchr(open, ']', (size_t)(s->end - open));
	if (close == NULL || close + 1 >= s->end || close[1] != '(')
		return false;
	last = memchr(close, ')', (size_t)(s->end - close));
	if (last == NULL)
		return false;
	words = (struct saying){ open + 1, close, s->out };
	say_inline(&words);
	s->p = last + 1;
	return true;
}

/* A tag, or an address between angle brackets. */
static bool
say_tag(struct saying *s)
{
	const char *close;
	struct saying inside;

	if (s->p + 1 >= s->end || (!isalpha((unsigned char)s->p[1]) && s->p[1] != '/' && s->p[1] != '!'))
		return false;
	close = memchr(s->p, '>', (size_t)(s->end - s->p));
	if (close == NULL)
		return false;
	inside = (struct saying){ s->p + 1, close, s->out };
	(void)say_address(&inside);
	s->p = close + 1;
	return true;
}

static bool
say_entity(struct saying *s)
{
	static const struct { const char *name, *text; } entities[] = {
		{ "&amp;", "&" }, { "&lt;", "<" }, { "&gt;", ">" }, { "&quot;", "\"" }, { "&#39;", "'" }, { "&nbsp;", " " },
	};

	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
		size_t n = strlen(entities[i].name);

		if ((size_t)(s->end - s->p) < n || memcmp(s->p, entities[i].name, n) != 0)
			continue;
		buf_puts(s->out, entities[i].text);
		s->p += n;
		return true;
	}
	return false;
}

/* A mark of emphasis; one that stands between spaces, or within a word, is a sign of the text. */
static bool
is_mark(const struct saying *s, const char *start)
{
	bool before = s->p > start && isalnum((unsigned char)s->p[-1]);
	bool after = s->p + 1 < s->end && isalnum((unsigned char)s->p[1]);

	switch (*s->p) {
	case '*':
		return !(s->p > start && is_space(s->p[-1]) && s->p + 1 < s->end && is_space(s->p[1])) &&
		    !(before && after && isdigit((unsigned char)s->p[-1]));
	case '_':
		return !(before && after);
	case '`':
		return true;
	case '~':
		return (s->p + 1 < s->end && s->p[1] == '~') || (s->p > start && s->p[-1] == '~');
	default:
		return false;
	}
}

static void
say_character(struct saying *s)
{
	const char *from = s->p;
	uint32_t c = utf8_next(&s->p, s->end);

	if (is_pictograph(c))
		return;
	if (c <= ' ' || c == 0xa0 || c == 0x7f)
		say_space(s->out);
	else if (c == '|') {
		if (s->out->len && !strchr(",.:;!? ", s->out->data[s->out->len - 1]))
			buf_putc(s->out, ',');
		else if (s->out->len > 1 && s->out->data[s->out->len - 1] == ' ' && !strchr(",.:;!?", s->out->data[s->out->len - 2]))
			s->out->data[s->out->len - 1] = ',';
		say_space(s->out);
	} else
		buf_add(s->out, from, (size_t)(s->p - from));
}

/* What begins with a mark of its own: a link or an image, a tag, an entity, an address. */
static bool
say_marked(struct saying *s, const char *start)
{
	switch (*s->p) {
	case '[': case '!': return say_link(s);
	case '<': return say_tag(s);
	case '&': return say_entity(s);
	case 'h': case 'H': case 'm': case 'M':
		return (s->p == start || !isalnum((unsigned char)s->p[-1])) && say_address(s);
	default: return false;
	}
}

static void
say_inline(struct saying *s)
{
	const char *start = s->p;

	while (s->p < s->end) {
		if (*s->p == '\\' && s->p + 1 < s->end && ispunct((unsigned char)s->p[1])) {
			buf_putc(s->out, s->p[1]);
			s->p += 2;
		} else if (is_mark(s, start))
			s->p++;
		else if (!say_marked(s, start))
			say_character(s);
	}
}

/* Lines of nothing but marks: rules, the line below a table's head, an underlined heading. */
static bool
is_rule(const char *p, const char *end)
{
	size_t marks = 0;

	for (; p < end; p++) {
		if (!strchr("-=*_|:+ \t\r\n", *p))
			return false;
		marks += !strchr(" \t\r\n", *p);
	}
	return marks >= 2;
}

/* Marks at the beginning of a line: headings, lists, quotations. */
static const char *
behind_marks(const char *p, const char *end)
{
	for (;;) {
		const char *digits;

		while (p < end && is_space(*p))
			p++;
		for (digits = p; digits < end && digits - p < 4 && isdigit((unsigned char)*digits); digits++)
			;
		if (p < end && (*p == '>' || *p == '|'))
			p++;
		else if (p < end && *p == '#') {
			while (p < end && *p == '#')
				p++;
		} else if (p + 1 < end && strchr("-*+", *p) && is_space(p[1]))
			p += 2;
		else if (digits > p && digits + 1 < end && (*digits == '.' || *digits == ')') && is_space(digits[1]))
			p = digits + 2;
		else
			return p;
	}
}

static bool
is_fence(const char *p, const char *end)
{
	return end - p >= 3 && (memcmp(p, "```", 3) == 0 || memcmp(p, "~~~", 3) == 0);
}

/* A line that ends without a mark is a sentence, too: headings, items of a list. */
static void
close_line(struct buf *out)
{
	while (out->len && out->data[out->len - 1] == ' ')
		out->data[--out->len] = '\0';
	if (out->len && (isalnum((unsigned char)out->data[out->len - 1]) || out->data[out->len - 1] == ')' || out->data[out->len - 1] & '\x80') &&
	    !(out->len >= 3 && ends_without_space(out->data + out->len - 3, 3)))
		buf_putc(out, '.');
	else if (out->len && out->data[out->len - 1] == ',')
		out->data[out->len - 1] = '.';
}

static bool
has_words(const struct buf *b)
{
	const char *p = b->data, *end = p + b->len;

	while (p < end)
		if (uni_is_letter_or_digit(utf8_next(&p, end)))
			return true;
	return false;
}

/* One sentence or line of Markdown, appended as it is said. */
static void
say_unit(struct spoken *s, const char *p, size_t len)
{
	const char *end = p + len;
	bool whole_line = len && p[len - 1] == '\n', begins = !s->inside_line;
	struct buf words = BUF_INIT(SPOKEN_TEXT_MAX);
	struct saying saying = { p, end, &words };

	s->inside_line = !whole_line;
	if (begins) {
		if (is_rule(p, end))
			return;
		saying.p = behind_marks(p, end);
		if (is_fence(saying.p, end)) {
			s->fenced = !s->fenced;
			return;
		}
	}
	say_inline(&saying);
	if (whole_line)
		close_line(&words);
	if (buf_err(&words) == HL_OK && words.len && has_words(&words)) {
		say_space(&s->piece);
		buf_add(&s->piece, words.data, words.len);
		while (s->piece.len && s->piece.data[s->piece.len - 1] == ' ')
			s->piece.data[--s->piece.len] = '\0';
	}
	buf_free(&words);
}

/* ---- pieces ---- */

static size_t
count_characters(const struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += ((unsigned char)b->data[i] & 0xc0) != 0x80;
	return n;
}

static size_t
least(unsigned given)
{
	return given == 0 ? FIRST_MIN : given == 1 ? SECOND_MIN : PIECE_MIN;
}

static bool
give(struct spoken *s, struct buf *out)
{
	buf_reset(out);
	buf_add(out, s->piece.data, s->piece.len);
	buf_reset(&s->piece);
	s->letters = 0;
	s->given++;
	return true;
}

bool
spoken_next(struct spoken *s, struct buf *out)
{
	size_t n;

	while (s->raw.len && (n = next_unit(s->raw.data, s->raw.len, s->ended)) > 0) {
		say_unit(s, s->raw.data, n);
		buf_consume(&s->raw, n);
		s->letters = count_characters(&s->piece);
		if (s->letters >= least(s->given))
			return give(s, out);
	}
	return s->ended && s->piece.len && give(s, out);
}
