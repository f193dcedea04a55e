/*
 * json_fuzz - request bodies: what the scanner takes json-c takes too, what is written reads back as the same text, and a
 * view shows what the tree has.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_view.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
write_twice(const struct json *doc)
{
	struct buf once = BUF_INIT(1 << 22), twice = BUF_INIT(1 << 22);
	struct json *again;

	json_write(&once, doc);
	if (buf_err(&once) || json_parse(once.data, once.len, &again) != HL_OK)
		abort();
	json_write(&twice, again);
	if (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0)
		abort();
	json_free(again);
	buf_free(&once);
	buf_free(&twice);
}

static void
compare(const struct json *value, struct json_view v)
{
	struct json_iter it = { .object = value };
	struct json_view item = { 0 };
	const struct json *member;
	const char *text, *name;
	struct buf out = BUF_INIT(1 << 22);
	size_t len, n = 0;

	if (json_kind(value) != json_view_kind(v))
		abort();
	text = json_string(value, &len);
	if (json_view_string(v, &out) != (text != NULL) || (text && (out.len != len || memcmp(text, out.data ? out.data : "", len) != 0)))
		abort();
	buf_free(&out);
	for (; json_view_next(v, &item); n++)
		compare(json_at(value, n), item);
	if (n != json_length(value))
		abort();
	while (json_next(&it, &name, &member)) {
		item = json_view_get(v, name);
		if (item.at)		/* or its name is written with escapes */
			compare(member, item);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_view v;
	const char *text = (const char *)data;
	struct json *doc;

	if (json_parse(text, size, &doc) != HL_OK)
		return 0;
	if (json_check(text, size, JSON_JS) != HL_OK || !utf8_valid(text, size))
		abort();		/* strict must be the stricter of the two */
	if (json_view_open(text, size, JSON_STRICT, &v) != HL_OK)
		abort();
	compare(doc, v);
	write_twice(doc);
	json_free(doc);
	return 0;
}
