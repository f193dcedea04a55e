/*
 * json_fuzz - request bodies: what the scanner takes json-c takes too, and what is written reads back as the same text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct json *doc;

	if (json_parse(text, size, &doc) != HL_OK)
		return 0;
	if (json_check(text, size, JSON_JS) != HL_OK || !utf8_valid(text, size))
		abort();		/* strict must be the stricter of the two */
	write_twice(doc);
	json_free(doc);
	return 0;
}
