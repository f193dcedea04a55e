#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "engine/escalation.h"
#include "engine/words.h"

struct keyword {
	char		*text;		/* as it was configured */
	uint32_t	*folded;	/* ends with 0; any white space is one ' ' */
	size_t		 rank;		/* its place in what was configured */
};

struct keywords {
	struct keyword	*list;		/* sorted by folded, then by rank */
	size_t		 count;
};

static bool
is_space(uint32_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xa0 || c == 0x1680 || c == 0x2028 ||
	    c == 0x2029 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f || c == 0x3000;
}

static bool
is_invisible(uint32_t c)
{
	return c == 0xad || (c >= 0x200b && c <= 0x200d) || c == 0x2060 || c == 0xfeff;
}

/* Can a word end after a and another begin with b?  0 is either end of the text. */
static bool
is_boundary(uint32_t a, uint32_t b)
{
	if (a == 0 || b == 0 || word_unspaced(a) || word_unspaced(b))
		return true;
	return !uni_is_letter_or_digit(a) || !uni_is_letter_or_digit(b);
}

/* The next character as it is compared: folded, a run of white space as ' ', typographic ' as '; 0 at the end. */
static uint32_t
next_folded(const char **p, const char *end)
{
	uint32_t c = 0;
	const char *look;

	do {
		if (*p == end)
			return 0;
		c = utf8_next(p, end);
	} while (is_invisible(c));
	if (c == 0)
		return 0xfffd;		/* a NUL in the text does not end it */
	if (!is_space(c))
		return c == 0x2019 ? '\'' : uni_fold(c);
	for (look = *p; look < end; *p = look) {
		c = utf8_next(&look, end);
		if (!is_space(c) && !is_invisible(c))
			break;
	}
	return ' ';
}

/* The first keyword of [first, last), all alike up to at, whose character there is c or greater. */
static const struct keyword *
lower_bound(const struct keyword *first, const struct keyword *last, size_t at, uint64_t c)
{
	while (first < last) {
		const struct keyword *middle = first + (last - first) / 2;

		if (middle->folded[at] < c)
			first = middle + 1;
		else
			last = middle;
	}
	return first;
}

/* Of best and the keywords that stand at p, the one that comes first in the configured list. */
static const struct keyword *
match_at(const struct keywords *list, const char *p, const char *end, const struct keyword *best)
{
	const struct keyword *first = list->list, *last = first + list->count;
	uint32_t c = next_folded(&p, end);

	for (size_t at = 0; c != 0; at++) {
		uint32_t next;

		first = lower_bound(first, last, at, c);
		last = lower_bound(first, last, at, (uint64_t)c + 1);
		if (first == last)
			break;
		next = next_folded(&p, end);
		if (first->folded[at + 1] == 0 && (!best || first->rank < best->rank) && is_boundary(c, next))
			best = first;
		c = next;
	}
	return best;
}

const char *
keywords_match(const struct keywords *list, const char *message, size_t len)
{
	const char *p = message, *end = message + len;
	const struct keyword *best = NULL;
	uint32_t before = 0;

	while (p < end && list->count > 0) {
		const char *here = p;
		uint32_t c = next_folded(&p, end);

		if (is_boundary(before, c))
			best = match_at(list, here, end, best);
		before = c;
	}
	return best ? best->text : NULL;
}

static void
trim(const char **start, const char **end)
{
	const char *p = *start, *last = *start, *look;

	for (look = p; look < *end; ) {
		uint32_t c = utf8_next(&look, *end);
		bool blank = is_space(c) || is_invisible(c);

		if (blank && last == *start)
			*start = last = look;
		else if (!blank)
			last = look;
	}
	*end = last;
}

/* Adds the piece [p, end) of the specification, unless it is blank. */
static enum hl_err
add(struct keywords *list, const char *p, const char *end)
{
	struct keyword *k = &list->list[list->count];
	uint32_t c;
	size_t n = 0;

	trim(&p, &end);
	if (p == end)
		return HL_OK;
	k->rank = list->count;
	k->text = strndup(p, (size_t)(end - p));
	k->folded = calloc((size_t)(end - p) + 1, sizeof(*k->folded));
	list->count++;
	if (!k->text || !k->folded)
		return HL_NO_MEMORY;
	while ((c = next_folded(&p, end)) != 0)
		k->folded[n++] = c;
	return HL_OK;
}

static int
compare(const void *a, const void *b)
{
	const struct keyword *x = a, *y = b;
	size_t i = 0;

	while (x->folded[i] == y->folded[i] && x->folded[i] != 0)
		i++;
	if (x->folded[i] != y->folded[i])
		return x->folded[i] < y->folded[i] ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static enum hl_err
parse(struct keywords *list, const char *spec)
{
	const char *p = spec, *end = spec + strlen(spec), *comma;
	size_t pieces = 1;
	enum hl_err err = HL_OK;

	for (comma = p; (comma = strchr(comma, ',')) != NULL; comma++)
		pieces++;
	list->list = calloc(pieces, sizeof(*list->list));
	if (!list->list)
		return HL_NO_MEMORY;
	for (; !err && p; p = comma < end ? comma + 1 : NULL) {
		comma = strchrnul(p, ',');
		err = add(list, p, comma);
	}
	return err;
}

/* Nothing but commas and blanks counts as empty: only the word says that no keywords are wanted. */
static bool
is_empty(const char *spec)
{
	for (const char *comma; *(comma = strchrnul(spec, ',')); spec = comma + 1)
		if (!str_blank(spec, (size_t)(comma - spec)))
			return false;
	return str_blank(spec, strlen(spec));
}

static bool
is_none(const char *spec)
{
	const char *end = spec + strlen(spec);

	trim(&spec, &end);
	return end - spec == 4 && strncasecmp(spec, "none", 4) == 0;
}

enum hl_err
keywords_new(const char *spec, struct keywords **ret)
{
	struct keywords *list = calloc(1, sizeof(*list));
	enum hl_err err = HL_OK;

	if (!list)
		return HL_NO_MEMORY;
	if (!is_none(spec))
		err = parse(list, is_empty(spec) ? KEYWORDS_DEFAULT : spec);
	if (err) {
		keywords_free(list);
		return err;
	}
	if (list->count > 0)
		qsort(list->list, list->count, sizeof(*list->list), compare);
	*ret = list;
	return HL_OK;
}

void
keywords_free(struct keywords *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->count; i++) {
		free(list->list[i].text);
		free(list->list[i].folded);
	}
	free(list->list);
	free(list);
}
