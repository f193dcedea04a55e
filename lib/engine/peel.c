#include <string.h>

#include "base/str.h"
#include "engine/peel.h"

#define NOT_YET		((size_t)-1)
#define REPLACEMENT	0xfffdu

void
peel_init(struct peel *p, bool json_expected)
{
	*p = (struct peel){ .json_expected = json_expected };
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t
skip_space(const struct buf *b, size_t at)
{
	while (at < b->len && is_space(b->data[at]))
		at++;
	return at;
}

/* Where the object behind a ``` or ```json fence starts; NOT_YET; or from, when it is not such a fence. */
static size_t
behind_fence(const struct buf *b, size_t from)
{
	static const char fence[] = "```json";
	size_t at = from, n = 0;

	while (n < 7 && at < b->len && b->data[at] == fence[n]) {
		at++;
		n++;
	}
	if (at == b->len)
		return NOT_YET;
	if (n != 3 && n != 7)
		return from;
	at = skip_space(b, at);
	if (at == b->len)
		return NOT_YET;
	return b->data[at] == '{' ? at : from;
}

/* Decides what it is.  False: more is needed. */
static bool
start(struct peel *p, const struct buf *b)
{
	size_t from = skip_space(b, p->at), at = from;

	p->at = from;
	if (from == b->len)
		return false;
	p->state = PEEL_PLAIN;
	if (!p->json_expected)
		return true;
	if (b->data[from] == '`')
		at = behind_fence(b, from);
	if (at == NOT_YET) {
		p->state = PEEL_START;
		return false;
	}
	p->object = at;
	if (b->data[at] == '{') {
		p->state = PEEL_MEMBER;
		p->at = at + 1;
	}
	return true;
}

/* What began like an object is none: it is the text itself, unless the text has been read already. */
static void
not_json(struct peel *p)
{
	p->state = p->complete ? PEEL_OVER : PEEL_PLAIN;
	p->at = p->object;
}

static void
member(struct peel *p, char c)
{
	if (c == '"') {
		p->state = PEEL_NAME;
		p->name_len = 0;
	} else if (c == '}')
		p->state = PEEL_OVER;
	else if (c != ',' && !is_space(c))
		not_json(p);
}

/* A name that is too long or has escapes in it is not the one we look for. */
static void
name(struct peel *p, char c)
{
	if (p->escaped)
		p->escaped = false;
	else if (c == '\\') {
		p->escaped = true;
		p->name_len = sizeof(p->name);
	} else if (c == '"')
		p->state = PEEL_COLON;
	else if (p->name_len < sizeof(p->name))
		p->name[p->name_len++] = c;
}

static void
colon(struct peel *p, char c)
{
	if (c == ':')
		p->state = PEEL_VALUE;
	else if (!is_space(c))
		not_json(p);
}

static void
skip(struct peel *p, char c)
{
	if (p->in_string) {
		if (p->escaped)
			p->escaped = false;
		else if (c == '\\')
			p->escaped = true;
		else if (c == '"')
			p->in_string = false;
	} else if (c == '"')
		p->in_string = true;
	else if (c == '{' || c == '[')
		p->depth++;
	else if (c == '}' || c == ']') {
		if (p->depth == 0)
			p->state = PEEL_OVER;
		else
			p->depth--;
	} else if (c == ',' && p->depth == 0)
		p->state = PEEL_MEMBER;
}

static void
value(struct peel *p, char c)
{
	if (is_space(c))
		return;
	if (c == '"' && p->name_len == 8 && memcmp(p->name, "response", 8) == 0 && !p->complete) {
		p->state = PEEL_TEXT;
		return;
	}
	p->state = PEEL_SKIP;
	skip(p, c);
}

static int
hex4(const char *s)
{
	int v = 0;

	for (int i = 0; i < 4; i++) {
		int letter = s[i] | 32;

		if (s[i] >= '0' && s[i] <= '9')
			v = v << 4 | (s[i] - '0');
		else if (letter >= 'a' && letter <= 'f')
			v = v << 4 | (letter - 'a' + 10);
		else
			return -1;
	}
	return v;
}

uint32_t
peel_escape(const char *s, size_t left, size_t *used)
{
	int unit, low;

	*used = 0;
	if (left < 6)
		return 0;
	unit = hex4(s + 2);
	*used = unit < 0 ? 2 : 6;
	if (unit <= 0 || (unit >= 0xdc00 && unit < 0xe000))
		return REPLACEMENT;
	if (unit < 0xd800 || unit >= 0xe000)
		return (uint32_t)unit;
	if ((left > 6 && s[6] != '\\') || (left > 7 && s[7] != 'u'))
		return REPLACEMENT;
	if (left < 12) {
		*used = 0;
		return 0;
	}
	low = hex4(s + 8);
	if (low < 0xdc00 || low >= 0xe000)
		return REPLACEMENT;
	*used = 12;
	return 0x10000u + (((uint32_t)unit & 0x3ff) << 10 | ((uint32_t)low & 0x3ff));
}

/* One escape at s.  Returns its length, 0 if it is cut. */
static size_t
escape(const char *s, size_t left, struct buf *out)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *known;
	uint32_t c;
	size_t used;

	if (left < 2)
		return 0;
	if (s[1] == 'u') {
		c = peel_escape(s, left, &used);
		if (used)
			utf8_put(out, c);
		return used;
	}
	if ((unsigned char)s[1] >= 0x80)
		return 1;		/* no escape at all: the backslash goes, the character stays */
	known = s[1] ? strchr(from, s[1]) : NULL;
	buf_putc(out, known ? to[known - from] : s[1]);
	return 2;
}

/* False: what is left is a cut escape. */
static bool
text(struct peel *p, const struct buf *b, struct buf *out)
{
	const char *s = b->data + p->at, *end = b->data + b->len, *q = s;
	size_t n;

	while (q < end && *q != '"' && *q != '\\')
		q++;
	buf_add(out, s, (size_t)(q - s));
	p->at += (size_t)(q - s);
	if (q == end)
		return true;
	if (*q == '\\') {
		n = escape(q, (size_t)(end - q), out);
		p->at += n;
		return n != 0;
	}
	p->at++;
	p->complete = true;
	p->state = PEEL_SKIP;
	return true;
}

static void
plain(struct peel *p, const struct buf *b, struct buf *out)
{
	buf_add(out, b->data + p->at, b->len - p->at);
	p->at = b->len;
}

static void
step(struct peel *p, char c)
{
	p->at++;
	if (p->state == PEEL_MEMBER)
		member(p, c);
	else if (p->state == PEEL_NAME)
		name(p, c);
	else if (p->state == PEEL_COLON)
		colon(p, c);
	else if (p->state == PEEL_VALUE)
		value(p, c);
	else if (p->state == PEEL_SKIP)
		skip(p, c);
}

void
peel_more(struct peel *p, const struct buf *b, struct buf *out)
{
	while (p->at < b->len) {
		if (p->state == PEEL_START) {
			if (!start(p, b))
				return;
		} else if (p->state == PEEL_PLAIN)
			plain(p, b, out);
		else if (p->state == PEEL_TEXT) {
			if (!text(p, b, out))
				return;
		} else if (p->state == PEEL_OVER)
			p->at = b->len;
		else
			step(p, b->data[p->at]);
	}
}

void
peel_end(struct peel *p, const struct buf *b, struct buf *out)
{
	if (p->state == PEEL_START)
		p->state = PEEL_PLAIN;
	peel_more(p, b, out);
}

bool
peel_is_json(const struct peel *p)
{
	return p->state != PEEL_START && p->state != PEEL_PLAIN;
}

bool
peel_complete(const struct peel *p)
{
	return p->complete;
}
