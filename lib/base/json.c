#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"

#define REPLACEMENT	0xfffdu

/* ---- the scanner ---- */

struct scan {
	const char	*end;
	enum json_strict strict;
	size_t		 nodes;		/* values seen */
	bool		 too_deep;
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

	p += str_json_ascii(p, s->end);
	if (p < s->end && *p == '"')
		return p + 1;
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
		if (depth < JSON_MAX_DEPTH)
			return scan_list(s, p, depth + 1);
		s->too_deep = true;
		return NULL;
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

/* Whether what is open is closed again, whatever stands between; strings are passed over. */
static bool
is_balanced(const char *p, const char *end)
{
	bool quoted = false;
	size_t open = 0;

	for (; p < end; p++) {
		if (quoted && *p == '\\')
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (!quoted && (*p == '[' || *p == '{'))
			open++;
		else if (!quoted && (*p == ']' || *p == '}') && open-- == 0)
			return false;
	}
	return open == 0 && !quoted;
}

enum hl_err
json_check(const char *text, size_t len, enum json_strict strict)
{
	struct scan s = { .end = text + len, .strict = strict };

	if (scan_document(&s, text))
		return HL_OK;
	return s.too_deep && strict == JSON_JS && is_balanced(text, s.end) ? HL_TOO_LARGE : HL_BAD_JSON;
}

/* ---- escapes of a checked text ---- */

static int
unit_at(const char *p)
{
	int v = 0;

	for (int i = 0; i < 4; i++)
		v = v << 4 | (p[i] <= '9' ? p[i] - '0' : (p[i] | 32) - 'a' + 10);
	return v;
}

const char *
json_escape(struct buf *out, const char *p)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *known = strchr(from, p[1]);
	int unit, low;

	if (p[1] != 'u') {
		buf_putc(out, known ? to[known - from] : p[1]);
		return p + 2;
	}
	unit = unit_at(p + 2);
	p += 6;
	if (unit >= 0xd800 && unit < 0xdc00 && p[0] == '\\' && p[1] == 'u') {
		low = unit_at(p + 2);
		if (low >= 0xdc00 && low < 0xe000) {
			utf8_put(out, 0x10000u + (((uint32_t)unit & 0x3ff) << 10 | ((uint32_t)low & 0x3ff)));
			return p + 6;
		}
	}
	utf8_put(out, unit == 0 || (unit >= 0xd800 && unit < 0xe000) ? REPLACEMENT : (uint32_t)unit);
	return p;
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

/* Of a text that has been checked. */
struct building { const char *end; enum hl_err err; };

static const char *build_value(struct building *, const char *, struct json_object **ret);

static const char *
failed(struct building *b, enum hl_err err)
{
	b->err = err;
	return b->end;
}

/* The string whose opening quote is at p: its characters, which lie in the text or else in *room.  Returns what is behind it. */
static const char *
read_string(const struct building *b, const char *p, struct buf *room, const char **ret_text, size_t *ret_len)
{
	const char *start = ++p;

	p += str_json_plain(p, b->end);
	*ret_text = start;
	*ret_len = (size_t)(p - start);
	if (*p == '"')
		return p + 1;
	while (*p == '\\') {
		buf_add(room, start, (size_t)(p - start));
		start = p = json_escape(room, p);
		p += str_json_plain(p, b->end);
	}
	buf_add(room, start, (size_t)(p - start));
	*ret_text = room->len ? room->data : "";
	*ret_len = room->len;
	return p + 1;
}

static const char *
build_string(struct building *b, const char *p, struct json_object **ret)
{
	struct buf room = BUF_INIT((size_t)(b->end - p));
	const char *text;
	size_t len;

	p = read_string(b, p, &room, &text, &len);
	*ret = buf_err(&room) ? NULL : json_object_new_string_len(text, (int)len);
	buf_free(&room);
	return *ret ? p : failed(b, HL_NO_MEMORY);
}

/* A whole number that fits is one; of any other the text is kept, so that it is written as it came. */
static const char *
build_number(struct building *b, const char *p, struct json_object **ret)
{
	const char *start = p;
	bool negative = *p == '-', whole = true;
	int64_t n = 0;
	char *text;

	for (p += negative; p < b->end && strchr("0123456789+-.eE", *p) && *p; p++)
		whole = whole && *p >= '0' && *p <= '9' && !__builtin_mul_overflow(n, 10, &n) && !__builtin_sub_overflow(n, *p - '0', &n);
	if (whole && (negative || !__builtin_sub_overflow((int64_t)0, n, &n))) {
		*ret = json_object_new_int64(n);
	} else {
		text = strndup(start, (size_t)(p - start));
		*ret = text ? json_object_new_double_s(strtod(text, NULL), text) : NULL;
		free(text);
	}
	return *ret ? p : failed(b, HL_NO_MEMORY);
}

static const char *
build_word(struct building *b, const char *p, struct json_object **ret)
{
	*ret = NULL;
	if (*p == 'n')
		return p + 4;
	*ret = json_object_new_boolean(*p == 't');
	return *ret ? p + (*p == 't' ? 4 : 5) : failed(b, HL_NO_MEMORY);
}

/* A name's copy, which json-c copies again, and its value.  HL_BAD_JSON: it is there already. */
static const char *
build_member(struct building *b, const char *p, struct json_object *object)
{
	struct buf name = BUF_INIT((size_t)(b->end - p) + 1);
	struct json_object *member = NULL;
	const char *text;
	size_t len;

	p = read_string(b, p, &name, &text, &len);
	if (text != name.data)
		buf_add(&name, text, len);
	buf_putc(&name, '\0');
	if (buf_err(&name))
		b->err = HL_NO_MEMORY;
	else if (json_object_object_get_ex(object, name.data, NULL))
		b->err = HL_BAD_JSON;
	else
		p = build_value(b, json_space(json_space(p, b->end) + 1, b->end), &member);
	if (b->err == HL_OK && json_object_object_add_ex(object, name.data, member, JSON_C_OBJECT_ADD_KEY_IS_NEW) != 0) {
		json_object_put(member);
		b->err = HL_NO_MEMORY;
	}
	buf_free(&name);
	return b->err ? b->end : p;
}

static const char *
build_item(struct building *b, const char *p, struct json_object *array)
{
	struct json_object *item = NULL;

	p = build_value(b, p, &item);
	if (b->err == HL_OK && json_object_array_add(array, item) != 0) {
		json_object_put(item);
		return failed(b, HL_NO_MEMORY);
	}
	return p;
}

static const char *
build_list(struct building *b, const char *p, struct json_object **ret)
{
	bool object = *p == '{';

	*ret = object ? json_object_new_object() : json_object_new_array();
	if (*ret == NULL)
		return failed(b, HL_NO_MEMORY);
	for (p = json_space(p + 1, b->end); b->err == HL_OK && *p != '}' && *p != ']';) {
		p = json_space(object ? build_member(b, p, *ret) : build_item(b, p, *ret), b->end);
		if (b->err == HL_OK && *p == ',')
			p = json_space(p + 1, b->end);
	}
	if (b->err == HL_OK)
		return p + 1;
	json_object_put(*ret);
	*ret = NULL;
	return b->end;
}

static const char *
build_value(struct building *b, const char *p, struct json_object **ret)
{
	switch (*p) {
	case '{':
	case '[':
		return build_list(b, p, ret);
	case '"':
		return build_string(b, p, ret);
	case 't':
	case 'f':
	case 'n':
		return build_word(b, p, ret);
	default:
		return build_number(b, p, ret);
	}
}

/* json-c's own reader takes twice as long, most of it for locales, and crashes when it cannot copy a member's name. */
enum hl_err
json_parse(const char *text, size_t len, struct json **ret_doc)
{
	struct scan s = { .end = text + len, .strict = JSON_STRICT };
	struct building b = { .end = text + len };
	struct json_object *doc = NULL;

	*ret_doc = NULL;
	if (len > INT32_MAX || !scan_document(&s, text))
		return HL_BAD_JSON;
	(void)build_value(&b, json_space(text, b.end), &doc);
	if (b.err)
		return b.err;
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
