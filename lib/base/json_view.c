#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_view.h"
#include "base/str.h"

static const struct json_view nothing;

/* ---- within a checked text: no end need be looked for ---- */

static const char *
space(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
		p++;
	return p;
}

static const char *
pass_string(const char *p, const char *end)
{
	for (p++; *(p += str_json_plain(p, end)) == '\\'; p += 2)
		;
	return p + 1;
}

static bool
ends_scalar(char c)
{
	return c == ',' || c == ']' || c == '}' || c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\0';
}

/* Returns the first byte after the value at p. */
static const char *
pass(const char *p, const char *end)
{
	unsigned depth = 0;

	do {
		switch (*p) {
		case '"':
			p = pass_string(p, end);
			break;
		case '{':
		case '[':
			depth++;
			p++;
			break;
		case '}':
		case ']':
			depth--;
			p++;
			break;
		default:
			p++;
			while (depth == 0 && p < end && !ends_scalar(*p))
				p++;
		}
	} while (depth);
	return p;
}

enum hl_err
json_view_open(const char *text, size_t len, enum json_strict strict, struct json_view *ret)
{
	bool good = json_check(text, len, strict) == HL_OK;

	*ret = good ? json_view_own(text, len) : nothing;
	return good ? HL_OK : HL_BAD_JSON;
}

struct json_view
json_view_own(const char *text, size_t len)
{
	struct json_view v = { json_space(text, text + len), text + len };

	while (v.end > v.at && json_space(v.end - 1, v.end) == v.end)	/* no value ends with white space */
		v.end--;
	return v.end > v.at ? v : nothing;
}

enum json_kind
json_view_kind(struct json_view v)
{
	if (v.at == NULL)
		return JSON_NONE;
	switch (*v.at) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
	case 'f':
		return JSON_BOOL;
	case 'n':
		return JSON_NULL;
	default:
		return JSON_NUMBER;
	}
}

/* Whether it is one of them, and the first of its name; one with an escape only looks like a name with a backslash. */
static bool
take_member(const char *const *names, struct json_view *ret, size_t count, struct json_view key, struct json_view value)
{
	size_t len = (size_t)(key.end - key.at);

	for (size_t i = 0; i < count; i++) {
		if (names[i][0] == *key.at && ret[i].at == NULL && strncmp(names[i], key.at, len) == 0 && names[i][len] == '\0') {
			if (memchr(key.at, '\\', len))
				return false;
			ret[i] = value;
			return true;
		}
	}
	return false;
}

void
json_view_members(struct json_view object, const char *const *names, struct json_view *ret, size_t count)
{
	size_t found = 0;
	const char *p;

	for (size_t i = 0; i < count; i++)
		ret[i] = nothing;
	if (json_view_kind(object) != JSON_OBJECT)
		return;
	for (p = space(object.at + 1); *p == '"' && found < count; p = space(p + 1)) {
		struct json_view key = { p + 1, NULL }, value;

		p = pass_string(p, object.end);
		key.end = p - 1;
		value.at = space(space(p) + 1);
		value.end = pass(value.at, object.end);
		found += take_member(names, ret, count, key, value);
		p = space(value.end);
		if (*p != ',')
			break;
	}
}

struct json_view
json_view_get(struct json_view object, const char *name)
{
	struct json_view v;

	json_view_members(object, &name, &v, 1);
	return v;
}

bool
json_view_next(struct json_view array, struct json_view *item)
{
	const char *p;

	if (json_view_kind(array) != JSON_ARRAY)
		return false;
	p = space(item->at ? item->end : array.at + 1);
	if (item->at && *p == ',')
		p = space(p + 1);
	if (*p == ']')
		return false;
	*item = (struct json_view){ p, pass(p, array.end) };
	return true;
}

/* ---- values ---- */

const char *
json_view_plain(struct json_view v, size_t *len)
{
	if (json_view_kind(v) != JSON_STRING)
		return NULL;
	*len = (size_t)(v.end - v.at) - 2;
	return memchr(v.at + 1, '\\', *len) ? NULL : v.at + 1;
}

bool
json_view_string(struct json_view v, struct buf *out)
{
	const char *p, *end, *escape;

	if (json_view_kind(v) != JSON_STRING)
		return false;
	p = v.at + 1;
	end = v.end - 1;
	while ((escape = memchr(p, '\\', (size_t)(end - p))) != NULL) {
		buf_add(out, p, (size_t)(escape - p));
		p = json_escape(out, escape);
	}
	buf_add(out, p, (size_t)(end - p));
	return true;
}

bool
json_view_is(struct json_view v, const char *string)
{
	size_t len;
	const char *text = json_view_plain(v, &len);

	return text && len == strlen(string) && memcmp(text, string, len) == 0;
}

bool
json_view_integer(struct json_view v, int64_t *ret)
{
	bool negative;
	int64_t n = 0;
	const char *p = v.at;

	if (json_view_kind(v) != JSON_NUMBER)
		return false;
	negative = *p == '-';
	for (p += negative; p < v.end; p++)
		if (*p < '0' || *p > '9' || __builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *p - '0', &n))
			return false;
	*ret = negative ? -n : n;
	return true;
}

void
json_view_write(struct buf *out, struct json_view v)
{
	if (v.at == NULL)
		buf_puts(out, "null");
	else
		buf_add(out, v.at, (size_t)(v.end - v.at));
}

bool
json_view_number(struct json_view v, double *ret)
{
	if (json_view_kind(v) != JSON_NUMBER)
		return false;
	*ret = strtod(v.at, NULL);
	return isfinite(*ret);
}
