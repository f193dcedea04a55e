/*
 * fcgi_answer_test - what a FastCGI program answers, cut at every byte, and what is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fastcgi.h>

#include "services/fcgi_answer.h"

#define MOST	200000u

static void
record_of(struct buf *b, unsigned version, int type, unsigned id, const char *content, size_t len, size_t padding)
{
	FCGI_Header h = { .version = (unsigned char)version, .type = (unsigned char)type,
		.requestIdB1 = (unsigned char)(id >> 8), .requestIdB0 = (unsigned char)id,
		.contentLengthB1 = (unsigned char)(len >> 8), .contentLengthB0 = (unsigned char)len,
		.paddingLength = (unsigned char)padding };

	buf_add(b, &h, sizeof(h));
	buf_add(b, content, len);
	while (padding-- > 0)
		buf_putc(b, '\xff');
}

static void
record(struct buf *b, int type, const char *content, size_t padding)
{
	record_of(b, FCGI_VERSION_1, type, FCGI_ANSWER_ID, content, strlen(content), padding);
}

static void
end(struct buf *b, int status, size_t padding)
{
	const char body[8] = { 0, 0, 0, 7, (char)status };

	record_of(b, FCGI_VERSION_1, FCGI_END_REQUEST, FCGI_ANSWER_ID, body, sizeof(body), padding);
}

/* In two pieces, each in memory of its own size. */
static enum hl_err
feed_cut(const struct buf *in, size_t at, struct fcgi_answer *a, struct buf *out)
{
	enum hl_err err = HL_OK;

	*a = (struct fcgi_answer){ .ended = false };
	buf_reset(out);
	for (int i = 0; i < 2 && err == HL_OK; i++) {
		size_t n = i ? in->len - at : at;
		char *piece = malloc(n + 1);

		assert_non_null(piece);
		memcpy(piece, in->data + (i ? at : 0), n);
		err = fcgi_answer_feed(a, piece, n, out);
		free(piece);
	}
	return err;
}

/* However it is cut; empties it. */
static void
expect(struct buf *in, enum hl_err want, bool ended, const char *want_out)
{
	struct buf out = BUF_INIT(MOST);
	struct fcgi_answer a;

	assert_int_equal(buf_err(in), HL_OK);
	for (size_t at = 0; at <= in->len; at++) {
		assert_int_equal(feed_cut(in, at, &a, &out), want);
		if (want == HL_OK)
			assert_int_equal(a.ended, ended);
		assert_string_equal(out.len ? out.data : "", want_out);
	}
	buf_free(&out);
	buf_reset(in);
}

/* ---- records ---- */

static void
an_answer_is_the_same_however_it_is_cut(void **state)
{
	struct buf b = BUF_INIT(MOST);

	(void)state;
	record(&b, FCGI_STDOUT, "Status: 200 OK\r\n", 0);
	record(&b, FCGI_STDOUT, "\r\nhello", 0);
	record(&b, FCGI_STDOUT, "", 0);
	expect(&b, HL_OK, false, "Status: 200 OK\r\n\r\nhello");
	record(&b, FCGI_STDOUT, "hello", 0);
	end(&b, FCGI_REQUEST_COMPLETE, 0);
	expect(&b, HL_OK, true, "hello");
	end(&b, FCGI_REQUEST_COMPLETE, 0);
	expect(&b, HL_OK, true, "");
	buf_free(&b);
}

static void
padding_and_stderr_are_dropped(void **state)
{
	struct buf b = BUF_INIT(MOST);

	(void)state;
	record(&b, FCGI_STDERR, "a warning", 7);
	record(&b, FCGI_STDOUT, "hel", 1);
	record(&b, FCGI_STDERR, "", 8);
	record(&b, FCGI_STDOUT, "lo", 255);
	record(&b, FCGI_STDOUT, "", 3);
	end(&b, FCGI_REQUEST_COMPLETE, 5);
	expect(&b, HL_OK, true, "hello");
	buf_free(&b);
}

/* The end has not come before its padding has: the connection is not free for the next request. */
static void
the_ends_padding_belongs_to_it(void **state)
{
	struct buf b = BUF_INIT(MOST), out = BUF_INIT(MOST);
	struct fcgi_answer a = { .ended = false };

	(void)state;
	end(&b, FCGI_REQUEST_COMPLETE, 2);
	assert_int_equal(fcgi_answer_feed(&a, b.data, b.len - 1, &out), HL_OK);
	assert_false(a.ended);
	assert_int_equal(fcgi_answer_feed(&a, b.data + b.len - 1, 1, &out), HL_OK);
	assert_true(a.ended);
	buf_free(&b);
	buf_free(&out);
}

static void
a_record_may_be_as_long_as_one_can_be(void **state)
{
	struct buf b = BUF_INIT(MOST), out = BUF_INIT(MOST);
	struct fcgi_answer a = { .ended = false };
	char *content = malloc(UINT16_MAX);

	(void)state;
	assert_non_null(content);
	memset(content, 'x', UINT16_MAX);
	record_of(&b, FCGI_VERSION_1, FCGI_STDOUT, FCGI_ANSWER_ID, content, UINT16_MAX, 255);
	end(&b, FCGI_REQUEST_COMPLETE, 0);
	assert_int_equal(fcgi_answer_feed(&a, b.data, b.len, &out), HL_OK);
	assert_true(a.ended);
	assert_int_equal(out.len, UINT16_MAX);
	assert_memory_equal(out.data, content, UINT16_MAX);
	free(content);
	buf_free(&b);
	buf_free(&out);
}

static void
failures_and_strangers_are_refused(void **state)
{
	struct buf b = BUF_INIT(MOST);

	(void)state;
	end(&b, FCGI_OVERLOADED, 0);
	expect(&b, HL_UPSTREAM, false, "");
	record(&b, FCGI_STDOUT, "hi", 0);
	end(&b, FCGI_CANT_MPX_CONN, 4);
	expect(&b, HL_UPSTREAM, false, "hi");
	record_of(&b, 2, FCGI_STDOUT, FCGI_ANSWER_ID, "hi", 2, 0);
	expect(&b, HL_UPSTREAM, false, "");
	record_of(&b, FCGI_VERSION_1, FCGI_STDOUT, 2, "hi", 2, 0);
	expect(&b, HL_UPSTREAM, false, "");
	record_of(&b, FCGI_VERSION_1, FCGI_STDOUT, 256 + FCGI_ANSWER_ID, "hi", 2, 0);
	expect(&b, HL_UPSTREAM, false, "");
	record_of(&b, FCGI_VERSION_1, FCGI_UNKNOWN_TYPE, 0, "12345678", 8, 0);
	expect(&b, HL_UPSTREAM, false, "");
	record(&b, FCGI_STDIN, "hi", 0);
	expect(&b, HL_UPSTREAM, false, "");
	record(&b, FCGI_END_REQUEST, "1234567", 0);
	expect(&b, HL_UPSTREAM, false, "");
	record(&b, FCGI_END_REQUEST, "123456789", 0);
	expect(&b, HL_UPSTREAM, false, "");
	buf_puts(&b, "HTTP/1.1 200 OK\r\n\r\n");
	expect(&b, HL_UPSTREAM, false, "");
	buf_free(&b);
}

static void
nothing_may_follow_the_end(void **state)
{
	struct buf b = BUF_INIT(MOST);

	(void)state;
	record(&b, FCGI_STDOUT, "hello", 0);
	end(&b, FCGI_REQUEST_COMPLETE, 0);
	buf_putc(&b, '\1');
	expect(&b, HL_UPSTREAM, false, "hello");
	buf_free(&b);
}

static void
an_answer_is_no_larger_than_its_buffer(void **state)
{
	struct buf b = BUF_INIT(MOST), out = BUF_INIT(9);
	struct fcgi_answer a;

	(void)state;
	record(&b, FCGI_STDOUT, "12345", 0);
	record(&b, FCGI_STDOUT, "67890", 0);
	for (size_t at = 0; at <= b.len; at++)
		assert_int_equal(feed_cut(&b, at, &a, &out), HL_TOO_LARGE);
	buf_free(&b);
	buf_free(&out);
}

/* ---- the head ---- */

static void
expect_head(const char *answer, enum hl_err want, int want_status, const char *want_body)
{
	struct buf b = BUF_INIT(MOST);
	enum hl_err err;
	int status = -1;

	buf_puts(&b, answer);
	err = fcgi_answer_head(&b, &status);
	if (err != want || status != want_status)
		fail_msg("%s: %s, %d", answer, err_code(err), status);
	if (err == HL_OK)
		assert_string_equal(b.data, want_body);
	buf_free(&b);
}

static void
heads_end_with_an_empty_line(void **state)
{
	(void)state;
	expect_head("Status: 200 OK\r\n\r\nhello", HL_OK, 200, "hello");
	expect_head("Status: 404 Not Found\n\nhello", HL_OK, 404, "hello");
	expect_head("Content-Type: text/plain\r\nStatus:503\r\nX: y\r\n\r\n", HL_OK, 503, "");
	expect_head("sTATUS: \t 201\r\n\n\r\nhello", HL_OK, 201, "\r\nhello");
	expect_head("Content-Type: text/plain\n\nhello\n\nworld", HL_OK, 200, "hello\n\nworld");
	expect_head("Statusquo: 404\r\n\r\nhello", HL_OK, 200, "hello");
	expect_head("\nhello", HL_OK, 200, "hello");
	expect_head("\r\n", HL_OK, 200, "");
}

static void
what_is_no_head_is_refused(void **state)
{
	static const char *const none[] = {
		"", "hello", "Status: 200 OK\r\n", "Status: 200 OK\r\nhello", "Status: 200 OK\n\r", "{\"a\":1}\n",
		"Status: \r\n\r\n", "Status:\n\n", "Status: 20\r\n\r\n", "Status: 2000\r\n\r\n", "Status: 099\r\n\r\n",
		"Status: -20\r\n\r\n", "Status: 20x\r\n\r\n", "Status: 200OK\r\n\r\n", "Status: OK\r\n\r\n", "Status: 20",
		"Status:\n200\n\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		expect_head(none[i], HL_UPSTREAM, 0, NULL);
}

static void
an_answer_that_never_had_a_byte_has_no_head(void **state)
{
	struct buf b = BUF_INIT(MOST);
	int status;

	(void)state;
	assert_int_equal(fcgi_answer_head(&b, &status), HL_UPSTREAM);
	assert_int_equal(status, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_the_same_however_it_is_cut),
		cmocka_unit_test(padding_and_stderr_are_dropped),
		cmocka_unit_test(the_ends_padding_belongs_to_it),
		cmocka_unit_test(a_record_may_be_as_long_as_one_can_be),
		cmocka_unit_test(failures_and_strangers_are_refused),
		cmocka_unit_test(nothing_may_follow_the_end),
		cmocka_unit_test(an_answer_is_no_larger_than_its_buffer),
		cmocka_unit_test(heads_end_with_an_empty_line),
		cmocka_unit_test(what_is_no_head_is_refused),
		cmocka_unit_test(an_answer_that_never_had_a_byte_has_no_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
