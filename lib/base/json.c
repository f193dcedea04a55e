#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"

#define NODE_BYTES	1024u	/* that json-c takes for a value at most: for an object with few members */

/* ---- the scanner ---- */

struct scan {
	const char	*end;
	enum json_strict strict;
	size_t		 nodes;		/* values seen */
	size_t		 members;	/* of all objects */
};

static const char *scan_value(struct scan *, const char *, unsigned depth);

const char *
json_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

static int
hex4(const char *p, const char *end)
{
	int v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			v = v << 4 | ((c | 32) - 'a' + 10);
		else
			return -1;
	}
	return v;
}

/* p is behind a backslash.  Returns the first byte after the escape. */
static const char *
scan_escape(const struct scan *s, const char *p)
{
	int unit, low;

	if (p >= s->end)
		return NULL;
	if (*p != 'u')
		return *p && strchr("\"\\/bfnrt", *p) ? p + 1 : NULL;
	unit = hex4(p + 1, s->end);
	p += 5;
	if (unit < 0)
		return NULL;
	if (s->strict == JSON_JS)
		return p;
	if (unit == 0 || (unit >= 0xdc00 && unit <= 0xdfff))
		return NULL;
	if (unit < 0xd800 || unit > 0xdbff)
		return p;
	if (s->end - p < 6 || p[0] != '\\' || p[1] != 'u')
		return NULL;
	low = hex4(p + 2, s->end);
	return low >= 0xdc00 && low <= 0xdfff ? p + 6 : NULL;
}

static const char *
scan_string(const struct scan *s, const char *p)
{
	const char *run = ++p;

	while ((p += str_json_plain(p, s->end)) < s->end) {
		if (*p == '"')
			return utf8_valid(run, (size_t)(p - run)) ? p + 1 : NULL;
		if (*p != '\\')
			return NULL;
		if (!utf8_valid(run, (size_t)(p - run)) || (p = scan_escape(s, p + 1)) == NULL)
			return NULL;
		run = p;
	}
	return NULL;
}

static const char *
digits(const char *p, const char *end)
{
	const char *start = p;

	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p > start ? p : NULL;
}

static const char *
scan_number(const struct scan *s, const char *p)
{
	const char *end = s->end;

	if (p < end && *p == '-')
		p++;
	if (p < end && *p == '0')
		p++;
	else if ((p = digits(p, end)) == NULL)
		return NULL;
	if (p < end && *p == '.' && (p = digits(p + 1, end)) == NULL)
		return NULL;
	if (p < end && (*p | 32) == 'e') {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		p = digits(p, end);
	}
	return p;
}

static const char *
scan_word(const struct scan *s, const char *p, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(s->end - p) >= n && memcmp(p, word, n) == 0 ? p + n : NULL;
}

static const char *
scan_member_name(struct scan *s, const char *p)
{
	if (p >= s->end || *p != '"' || (p = scan_string(s, p)) == NULL)
		return NULL;
	s->members++;
	p = json_space(p, s->end);
	if (p >= s->end || *p != ':')
		return NULL;
	return json_space(p + 1, s->end);
}

/* An array or an object; p is at its opening bracket. */
static const char *
scan_list(struct scan *s, const char *p, unsigned depth)
{
	bool object = *p == '{';
	char close = object ? '}' : ']';

	p = json_space(p + 1, s->end);
	if (p < s->end && *p == close)
		return p + 1;
	for (;;) {
		if (object && (p = scan_member_name(s, p)) == NULL)
			return NULL;
		if ((p = scan_value(s, p, depth)) == NULL)
			return NULL;
		p = json_space(p, s->end);
		if (p >= s->end)
			return NULL;
		if (*p == close)
			return p + 1;
		if (*p != ',')
			return NULL;
		p = json_space(p + 1, s->end);
	}
}

static const char *
scan_value(struct scan *s, const char *p, unsigned depth)
{
	if (p >= s->end || (++s->nodes > JSON_MAX_NODES && s->strict == JSON_STRICT))
		return NULL;
	switch (*p) {
	case '{':
	case '[':
		return depth < JSON_MAX_DEPTH ? scan_list(s, p, depth + 1) : NULL;
	case '"':
		return scan_string(s, p);
	case 't':
		return scan_word(s, p, "true");
	case 'f':
		return scan_word(s, p, "false");
	case 'n':
		return scan_word(s, p, "null");
	default:
		return scan_number(s, p);
	}
}

const char *
json_skip(const char *p, const char *end, enum json_strict strict)
{
	struct scan s = { .end = end, .strict = strict };

	return scan_value(&s, p, 0);
}

static bool
scan_document(struct scan *s, const char *text)
{
	const char *p = scan_value(s, json_space(text, s->end), 0);

	return p && json_space(p, s->end) == s->end;
}

enum hl_err
json_check(const char *text, size_t len, enum json_strict strict)
{
	struct scan s = { .end = text + len, .strict = strict };

	return scan_document(&s, text) ? HL_OK : HL_BAD_JSON;
}

/* ---- the tree: json-c's, which struct json stands for ---- */

static struct json_object *
tree(const struct json *v)
{
	return (struct json_object *)(uintptr_t)v;
}

static const struct json *
value(struct json_object *o)
{
	return (const struct json *)o;
}

/* json-c cannot tell null from nothing by its pointer, so nulls inside a document are this one. */
static const char null_mark;
#define JSON_NULL_VALUE	((const struct json *)(const void *)&null_mark)

/* How many members the tree has: fewer than the text had means that some were there twice. */
static size_t
tree_members(struct json_object *o)
{
	size_t n = 0;

	if (json_object_is_type(o, json_type_object)) {
		json_object_object_foreach(o, key, member) {
			(void)key;
			n += 1 + tree_members(member);
		}
	} else if (json_object_is_type(o, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(o); i++)
			n += tree_members(json_object_array_get_idx(o, i));
	}
	return n;
}

/*
 * json-c crashes when it cannot copy a member's name.  What the tree may take at most is asked for and given back first,
 * untouched: a process at its limit refuses instead.
 */
static bool
has_room(const struct scan *s, size_t len)
{
	char *volatile room = malloc(s->nodes * NODE_BYTES + 2 * len);	/* volatile: else the compiler asks for nothing */
	bool there = room != NULL;

	free(room);
	return there;
}

/* Kept by each thread: making one is kilobytes of zeroes.  What it was enlarged to by a long text is given back. */
#define TOKENER_KEPT	65536u		/* bytes of text */
static _Thread_local struct json_tokener *kept_tokener;

static struct json_tokener *
tokener(void)
{
	if (kept_tokener)
		json_tokener_reset(kept_tokener);
	else
		kept_tokener = json_tokener_new_ex(JSON_MAX_DEPTH + 2);
	return kept_tokener;
}

static void
tokener_used(size_t len)
{
	if (len <= TOKENER_KEPT)
		return;
	json_tokener_free(kept_tokener);
	kept_tokener = NULL;
}

enum hl_err
json_parse(const char *text, size_t len, struct json **ret_doc)
{
	struct scan s = { .end = text + len, .strict = JSON_STRICT };
	struct json_tokener *tok = NULL;
	struct json_object *doc = NULL;
	enum hl_err err = HL_OK;
	bool complete;

	*ret_doc = NULL;
	if (len > INT32_MAX || !scan_document(&s, text))
		return HL_BAD_JSON;
	if (!has_room(&s, len))
		return HL_NO_MEMORY;
	tok = tokener();
	if (tok == NULL)
		return HL_NO_MEMORY;
	doc = json_tokener_parse_ex(tok, text, (int)len);
	complete = json_tokener_get_error(tok) == json_tokener_success;
	if (!complete && json_tokener_get_error(tok) == json_tokener_continue) {
		doc = json_tokener_parse_ex(tok, "", 1);	/* a bare number ends only with its input */
		complete = json_tokener_get_error(tok) == json_tokener_success;
	}
	tokener_used(len);
	if (!complete)
		err = HL_NO_MEMORY;	/* the scanner has accepted it */
	else if (tree_members(doc) != s.members)
		err = HL_BAD_JSON;
	if (err) {
		json_object_put(doc);
		return err;
	}
	*ret_doc = (struct json *)(uintptr_t)(doc ? value(doc) : JSON_NULL_VALUE);
	return HL_OK;
}

void
json_free(struct json *doc)
{
	if (doc && doc != JSON_NULL_VALUE)
		json_object_put(tree(doc));
}

enum json_kind
json_kind(const struct json *v)
{
	if (v == NULL)
		return JSON_NONE;
	if (v == JSON_NULL_VALUE)
		return JSON_NULL;
	switch (json_object_get_type(tree(v))) {
	case json_type_boolean:
		return JSON_BOOL;
	case json_type_double:
	case json_type_int:
		return JSON_NUMBER;
	case json_type_string:
		return JSON_STRING;
	case json_type_array:
		return JSON_ARRAY;
	case json_type_object:
		return JSON_OBJECT;
	default:
		return JSON_NULL;
	}
}

const struct json *
json_get(const struct json *v, const char *key)
{
	struct json_object *member;

	if (json_kind(v) != JSON_OBJECT || !json_object_object_get_ex(tree(v), key, &member))
		return NULL;
	return member ? value(member) : JSON_NULL_VALUE;
}

const char *
json_string(const struct json *v, size_t *len)
{
	if (json_kind(v) != JSON_STRING)
		return NULL;
	if (len)
		*len = (size_t)json_object_get_string_len(tree(v));
	return json_object_get_string(tree(v));
}

bool
json_number(const struct json *v, double *ret)
{
	if (json_kind(v) != JSON_NUMBER)
		return false;
	*ret = json_object_get_double(tree(v));
	return isfinite(*ret);
}

bool
json_integer(const struct json *v, int64_t *ret)
{
	double d;

	if (!json_number(v, &d) || d < -9.2e18 || d > 9.2e18 || d != trunc(d))
		return false;
	*ret = json_object_is_type(tree(v), json_type_int) ? json_object_get_int64(tree(v)) : (int64_t)d;
	return true;
}

bool
json_true(const struct json *v)
{
	return json_kind(v) == JSON_BOOL && json_object_get_boolean(tree(v));
}

size_t
json_length(const struct json *v)
{
	return json_kind(v) == JSON_ARRAY ? json_object_array_length(tree(v)) : 0;
}

const struct json *
json_at(const struct json *v, size_t i)
{
	struct json_object *item;

	if (i >= json_length(v))
		return NULL;
	item = json_object_array_get_idx(tree(v), i);
	return item ? value(item) : JSON_NULL_VALUE;
}

void
json_write(struct buf *out, const struct json *v)
{
	const char *text;

	if (v == NULL || v == JSON_NULL_VALUE) {
		buf_puts(out, "null");
		return;
	}
	text = json_object_to_json_string_ext(tree(v), JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (text == NULL)
		out->err = HL_NO_MEMORY;
	else
		buf_puts(out, text);
}

bool
json_next(struct json_iter *it, const char **key, const struct json **v)
{
	struct lh_entry *entry = it->entry;

	if (json_kind(it->object) != JSON_OBJECT)
		return false;
	entry = entry ? lh_entry_next(entry) : json_object_get_object(tree(it->object))->head;
	if (entry == NULL)
		return false;
	it->entry = entry;
	*key = lh_entry_k(entry);
	*v = lh_entry_v(entry) ? value(lh_entry_v(entry)) : JSON_NULL_VALUE;
	return true;
}

const char *
json_get_string(const struct json *v, const char *key)
{
	return json_string(json_get(v, key), NULL);
}
