/*
 * sse_test - server-sent events: what openai-node makes of the golden vectors, also one byte at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/sse.h"

static struct buf file = { .max = 1 << 20 };
static struct json *doc;

struct seen {
	struct buf	 text;		/* name|data lines */
	size_t		 count;
	enum hl_err	 answer;
};

static enum hl_err
collect(void *arg, const char *name, const char *data, size_t len)
{
	struct seen *seen = arg;

	buf_json_str(&seen->text, name);
	buf_putc(&seen->text, '|');
	buf_json(&seen->text, data, len);
	buf_putc(&seen->text, '\n');
	seen->count++;
	return seen->answer;
}

static int
load(void **state)
{
	FILE *f = fopen(SRCDIR "/tests/vectors/sse.json", "rb");
	char *p;

	(void)state;
	if (f == NULL || (p = buf_reserve(&file, 1 << 19)) == NULL)
		return -1;
	buf_grow(&file, fread(p, 1, 1 << 19, f));
	fclose(f);
	return json_parse(file.data, file.len, &doc) ? -1 : 0;
}

static int
unload(void **state)
{
	(void)state;
	json_free(doc);
	buf_free(&file);
	return 0;
}

static void
unhex(struct buf *out, const char *hex)
{
	unsigned byte;

	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		buf_putc(out, (char)byte);
}

static void
expected(struct buf *out, const struct json *events)
{
	for (size_t i = 0; i < json_length(events); i++) {
		buf_json_str(out, json_get_string(json_at(events, i), "event"));
		buf_putc(out, '|');
		buf_json_str(out, json_get_string(json_at(events, i), "data"));
		buf_putc(out, '\n');
	}
}

/* Feeds the bytes in pieces of n and compares. */
static void
check_pieces(const struct buf *bytes, size_t n, const struct buf *want, const char *name)
{
	struct seen seen = { .text = BUF_INIT(1 << 20) };
	struct sse s;

	sse_init(&s);
	for (size_t i = 0; i < bytes->len; i += n) {
		size_t len = bytes->len - i < n ? bytes->len - i : n;
		char *piece = malloc(len);	/* of its own, so that reading past its end is seen */

		memcpy(piece, bytes->data + i, len);
		assert_int_equal(sse_feed(&s, piece, len, collect, &seen), HL_OK);
		free(piece);
	}
	if (seen.text.len != want->len || (want->len && memcmp(seen.text.data, want->data, want->len)))
		fail_msg("%s, pieces of %zu: got %s", name, n, seen.text.len ? seen.text.data : "nothing");
	sse_free(&s);
	buf_free(&seen.text);
}

static void
golden_vectors_in_pieces_of_every_size(void **state)
{
	const struct json *vectors = json_get(doc, "vectors");

	(void)state;
	assert_true(json_length(vectors) > 15);
	for (size_t i = 0; i < json_length(vectors); i++) {
		const struct json *v = json_at(vectors, i), *chunks = json_get(v, "chunksHex");
		struct buf bytes = BUF_INIT(1 << 16), want = BUF_INIT(1 << 16);

		for (size_t k = 0; k < json_length(chunks); k++)
			unhex(&bytes, json_string(json_at(chunks, k), NULL));
		expected(&want, json_get(v, "events"));
		for (size_t n = 1; n <= bytes.len; n++)
			check_pieces(&bytes, n, &want, json_get_string(v, "name"));
		buf_free(&bytes);
		buf_free(&want);
	}
}

static void
an_error_of_the_callback_stops_and_is_passed_on(void **state)
{
	struct seen seen = { .text = BUF_INIT(1024), .answer = HL_CANCELLED };
	struct sse s;

	(void)state;
	sse_init(&s);
	assert_int_equal(sse_feed(&s, "data: a\n\ndata: b\n\n", 18, collect, &seen), HL_CANCELLED);
	assert_int_equal(seen.count, 1);
	sse_free(&s);
	buf_free(&seen.text);
}

static void
feed_until(const char *piece, size_t want_at_most, enum hl_err want)
{
	struct seen seen = { .text = BUF_INIT(1024) };
	enum hl_err err = HL_OK;
	struct sse s;
	size_t fed = 0;

	sse_init(&s);
	while (err == HL_OK && fed <= want_at_most) {
		err = sse_feed(&s, piece, strlen(piece), collect, &seen);
		fed += strlen(piece);
	}
	assert_int_equal(err, want);
	assert_int_equal(seen.count, 0);
	sse_free(&s);
	buf_free(&seen.text);
}

static void
an_event_without_end_hits_the_cap(void **state)
{
	(void)state;
	feed_until("data: 0123456789012345678901234567890123456789\n", SSE_MAX_EVENT * 2, HL_TOO_LARGE);
	feed_until("0123456789012345678901234567890123456789", SSE_MAX_EVENT * 2, HL_TOO_LARGE);
	feed_until(": comments may go on for ever\n", SSE_MAX_EVENT * 4, HL_OK);
}

static void
bytes_that_are_no_text_pass_through(void **state)
{
	struct seen seen = { .text = BUF_INIT(1024) };
	struct sse s;

	(void)state;
	sse_init(&s);
	assert_int_equal(sse_feed(&s, "data: a\0b\n\n", 11, collect, &seen), HL_OK);
	assert_string_equal(seen.text.data, "null|\"a\\u0000b\"\n");
	sse_free(&s);
	buf_free(&seen.text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_vectors_in_pieces_of_every_size),
		cmocka_unit_test(an_error_of_the_callback_stops_and_is_passed_on),
		cmocka_unit_test(an_event_without_end_hits_the_cap),
		cmocka_unit_test(bytes_that_are_no_text_pass_through),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
